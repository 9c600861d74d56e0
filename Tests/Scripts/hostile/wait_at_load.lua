-- expect: runtime
-- Waits while it is loaded, in a coroutine.
coroutine.wrap(function() http.request{ url = "http://127.0.0.1/" } end)()
