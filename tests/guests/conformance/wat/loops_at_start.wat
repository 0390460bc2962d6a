;; Never gets through its start function.
(component
  (core module $m
    (func $start (loop (br 0)))
    (start $start))
  (core instance (instantiate $m))
  (instance $sampler)
  (export "probe:plugin/sampler@0.1.0" (instance $sampler)))
