-- For wrk: uploads of 1 MiB with a Content-Length, which wrk adds by itself.
wrk.method = "POST"
wrk.body = string.rep("x", 1024 * 1024)
