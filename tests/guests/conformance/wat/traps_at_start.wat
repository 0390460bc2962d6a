;; Traps in its start function.
(component
  (core module $m
    (func $start unreachable)
    (start $start))
  (core instance (instantiate $m))
  (instance $sampler)
  (export "probe:plugin/sampler@0.1.0" (instance $sampler)))
