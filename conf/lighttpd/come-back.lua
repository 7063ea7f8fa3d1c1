-- Is it lighttpd itself that says so, and does an EventSource ask? Then it is told when to come back, each at another time. (It says 500
-- of a Sluice that has ended with the request in its queue.)
-- What Sluice answers itself is a problem document: a route that waits may well say 504.
local r = lighty.r
local accept = r.req_header["Accept"] or ""
local is_ours = (r.resp_header["Content-Type"] or ""):find("application/problem+json", 1, true)

if not is_ours and lighty.env["request.method"] == "GET" and accept:find("text/event-stream", 1, true) and r.req_item["http_status"] >= 500 then
	r.resp_header["Content-Type"] = "text/event-stream; charset=utf-8"
	r.resp_header["Cache-Control"] = "no-store"
	r.resp_body:set(string.format("retry: %d\nevent: stream-end\ndata: {\"reason\":\"drain\"}\n\n", math.random(1000, 3000)))
	return 200
end
return 0
