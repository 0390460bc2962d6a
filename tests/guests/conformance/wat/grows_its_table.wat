;; Wants a table of ten thousand elements.
(component
  (core module $m
    (table 0 funcref)
    (func $start
      (if (i32.eq (table.grow 0 (ref.null func) (i32.const 10000)) (i32.const -1)) (then unreachable)))
    (start $start))
  (core instance (instantiate $m))
  (instance $sampler)
  (export "probe:plugin/sampler@0.1.0" (instance $sampler)))
