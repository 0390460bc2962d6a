;; Wants to open files.
(component
  (import "wasi:filesystem/types@0.2.0" (instance
    (export "descriptor" (type (sub resource)))))
  (import "wasi:filesystem/preopens@0.2.0" (instance))
  (instance $sampler)
  (export "probe:plugin/sampler@0.1.0" (instance $sampler)))
