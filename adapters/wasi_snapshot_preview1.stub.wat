;; WASI preview 1 for plugins, answered inside the component: it imports nothing but the memory of the module that it serves.
;;
;; There are no arguments, no environment and no files but the standard streams: input is at its end, output is discarded.
;; The clock counts how often it was read; random numbers are a fixed sequence. Nothing waits: who sleeps, wakes at once, and
;; the clock has moved on.
(module
  (import "env" "memory" (memory 0))

  (global $ESUCCESS i32 (i32.const 0))
  (global $EBADF i32 (i32.const 8))
  (global $EINVAL i32 (i32.const 28))
  (global $ENOTSUP i32 (i32.const 58))

  ;; Nanoseconds, of every clock. Not 0, which some runtimes take for "no time".
  (global $time (mut i64) (i64.const 1000000000))
  ;; State of xorshift64.
  (global $seed (mut i64) (i64.const 0x9e3779b97f4a7c15))

  ;; === Arguments and environment: none ===

  (func $none (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (global.get $ESUCCESS))
  (func (export "args_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (call $none (local.get $count) (local.get $bytes)))
  (func (export "environ_sizes_get") (param $count i32) (param $bytes i32) (result i32)
    (call $none (local.get $count) (local.get $bytes)))
  (func (export "args_get") (param i32 i32) (result i32) (global.get $ESUCCESS))
  (func (export "environ_get") (param i32 i32) (result i32) (global.get $ESUCCESS))

  ;; === Clocks ===

  (func (export "clock_res_get") (param $clock i32) (param $out i32) (result i32)
    (i64.store (local.get $out) (i64.const 1000))
    (global.get $ESUCCESS))

  ;; Every reading is a microsecond later than the one before.
  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $out i32) (result i32)
    (global.set $time (i64.add (global.get $time) (i64.const 1000)))
    (i64.store (local.get $out) (global.get $time))
    (global.get $ESUCCESS))

  ;; === Random numbers ===

  (func (export "random_get") (param $at i32) (param $count i32) (result i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $at) (local.get $count)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (global.set $seed (i64.xor (global.get $seed) (i64.shl (global.get $seed) (i64.const 13))))
        (global.set $seed (i64.xor (global.get $seed) (i64.shr_u (global.get $seed) (i64.const 7))))
        (global.set $seed (i64.xor (global.get $seed) (i64.shl (global.get $seed) (i64.const 17))))
        (i64.store8 (local.get $at) (global.get $seed))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (global.get $ESUCCESS))

  ;; === The standard streams ===

  (func $is_stream (param $fd i32) (result i32) (i32.lt_u (local.get $fd) (i32.const 3)))

  (func (export "fd_read") (param $fd i32) (param $buffers i32) (param $count i32) (param $read i32) (result i32)
    (if (local.get $fd) (then (return (global.get $EBADF))))
    (i32.store (local.get $read) (i32.const 0))
    (global.get $ESUCCESS))

  ;; All of it counts as written.
  (func (export "fd_write") (param $fd i32) (param $buffers i32) (param $count i32) (param $written i32) (result i32)
    (local $sum i32)
    (if (i32.eqz (call $is_stream (local.get $fd))) (then (return (global.get $EBADF))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $sum (i32.add (local.get $sum) (i32.load offset=4 (local.get $buffers))))
        (local.set $buffers (i32.add (local.get $buffers) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $sum))
    (global.get $ESUCCESS))

  (func (export "fd_close") (param $fd i32) (result i32)
    (select (global.get $ESUCCESS) (global.get $EBADF) (call $is_stream (local.get $fd))))

  ;; A character device that may be read and written.
  (func (export "fd_fdstat_get") (param $fd i32) (param $out i32) (result i32)
    (if (i32.eqz (call $is_stream (local.get $fd))) (then (return (global.get $EBADF))))
    (i64.store (local.get $out) (i64.const 2))
    (i64.store offset=8 (local.get $out) (i64.const 0x42))
    (i64.store offset=16 (local.get $out) (i64.const 0))
    (global.get $ESUCCESS))

  (func (export "fd_filestat_get") (param $fd i32) (param $out i32) (result i32)
    (if (i32.eqz (call $is_stream (local.get $fd))) (then (return (global.get $EBADF))))
    (memory.fill (local.get $out) (i32.const 0) (i32.const 64))
    (i32.store8 offset=16 (local.get $out) (i32.const 2))
    (global.get $ESUCCESS))

  ;; === Waiting ===

  ;; All that is asked for has happened: the clock moves to the latest of the times.
  (func (export "poll_oneoff") (param $asked i32) (param $events i32) (param $count i32) (param $happened i32) (result i32)
    (local $left i32) (local $until i64)
    (if (i32.eqz (local.get $count)) (then (return (global.get $EINVAL))))
    (local.set $left (local.get $count))
    (loop $next
      (memory.fill (local.get $events) (i32.const 0) (i32.const 32))
      (i64.store (local.get $events) (i64.load (local.get $asked)))
      (i32.store8 offset=10 (local.get $events) (i32.load8_u offset=8 (local.get $asked)))
      (if (i32.eqz (i32.load8_u offset=8 (local.get $asked)))
        (then
          (local.set $until (i64.load offset=24 (local.get $asked)))
          ;; A duration, unless the flag says that it is a time.
          (if (i32.eqz (i32.and (i32.load16_u offset=40 (local.get $asked)) (i32.const 1)))
            (then (local.set $until (i64.add (local.get $until) (global.get $time)))))
          (if (i64.gt_u (local.get $until) (global.get $time))
            (then (global.set $time (local.get $until)))))
        (else
          (if (i32.eqz (call $is_stream (i32.load offset=16 (local.get $asked))))
            (then (i32.store16 offset=8 (local.get $events) (global.get $EBADF))))))
      (local.set $asked (i32.add (local.get $asked) (i32.const 48)))
      (local.set $events (i32.add (local.get $events) (i32.const 32)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $next (local.get $left)))
    (i32.store (local.get $happened) (local.get $count))
    (global.get $ESUCCESS))

  (func (export "sched_yield") (result i32) (global.get $ESUCCESS))

  ;; === The end: a plugin has none of its own ===

  (func (export "proc_exit") (param i32) unreachable)
  (func (export "proc_raise") (param i32) (result i32) (global.get $ENOTSUP))

  ;; === Files and sockets: there are none ===

  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (global.get $EBADF))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (global.get $EBADF))
  (func (export "fd_datasync") (param i32) (result i32) (global.get $EBADF))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (global.get $EBADF))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (global.get $EBADF))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (global.get $EBADF))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (global.get $EBADF))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (global.get $EBADF))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (global.get $EBADF))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (global.get $EBADF))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (global.get $EBADF))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (global.get $EBADF))
  (func (export "fd_renumber") (param i32 i32) (result i32) (global.get $EBADF))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (global.get $EBADF))
  (func (export "fd_sync") (param i32) (result i32) (global.get $EBADF))
  (func (export "fd_tell") (param i32 i32) (result i32) (global.get $EBADF))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (global.get $EBADF))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (global.get $EBADF))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (global.get $EBADF))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (global.get $EBADF))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (global.get $EBADF))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (global.get $EBADF))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (global.get $EBADF))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (global.get $EBADF))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (global.get $EBADF))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (global.get $EBADF))
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (global.get $EBADF))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (global.get $EBADF))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (global.get $EBADF))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (global.get $EBADF))

  ;; Go's bindings hold the clock still while their collector may run: this one asks nobody, so there is nothing to hold.
  (func (export "adapter_monotonic_clock_set_paused") (param i32))
)
