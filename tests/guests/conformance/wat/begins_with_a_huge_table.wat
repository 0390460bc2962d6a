;; Is born with a table of a hundred million elements.
(component
  (core module $m
    (table 100000000 funcref))
  (core instance (instantiate $m))
  (instance $sampler)
  (export "probe:plugin/sampler@0.1.0" (instance $sampler)))
