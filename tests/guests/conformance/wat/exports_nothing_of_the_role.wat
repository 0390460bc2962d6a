;; Exports an interface of the right name with nothing in it.
(component

  (instance $sampler)
  (export "probe:plugin/sampler@0.1.0" (instance $sampler)))
