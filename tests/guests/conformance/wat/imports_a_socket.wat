;; Wants to speak to the network.
(component
  (import "wasi:sockets/tcp@0.2.0" (instance
    (export "tcp-socket" (type (sub resource)))))
  (instance $sampler)
  (export "probe:plugin/sampler@0.1.0" (instance $sampler)))
