;; Is born with 4 GiB of memory.
(component
  (core module $m
    (memory 65536))
  (core instance (instantiate $m))
  (instance $sampler)
  (export "probe:plugin/sampler@0.1.0" (instance $sampler)))
