;; Imports an interface whose name would colour the terminal if it could.
(component
  (import "evil:plan/world-domination@6.6.6" (instance))
  (instance $sampler)
  (export "probe:plugin/sampler@0.1.0" (instance $sampler)))
