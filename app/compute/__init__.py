"""The local engine: which code runs in which process.

::

    the API                  local_engine    the engine; admits requests
                             batching        the queue; forms a batch: RequestQueue.next
                             arena           the memory of the rows that wait
                             device_worker   one worker: sends batches, divides the answers
                             model_loads     loads and unloads models
                             residency       decides which model leaves memory: Residency.victim
                             reader_pool     the readers: one request at a time each
                             pace            how long a request takes: when to send again
                             usage           the memory and the time of processes
                             supervisor      starts a process, and starts it again when it ends
                             connection      the calls to a process
                             child_process   a process, and the socket to it
    both sides               messages        every message, and the table of errors
                             frames          a message and its buffers as bytes
    worker/ and reader/      parent          the API as they see it
    worker/                  the process that owns the device: loads, computes, profiles, saves
    reader/                  a process that decodes images and JSON
"""
