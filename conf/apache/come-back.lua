-- Does an EventSource ask? Then it is told when to come back, each at another time. All others are told 503.
function handle(r)
	local accept = r.headers_in["Accept"] or ""

	if (r.subprocess_env["REDIRECT_REQUEST_METHOD"] or r.method) == "GET" and accept:find("text/event-stream", 1, true) then
		r.status = 200
		r.content_type = "text/event-stream; charset=utf-8"
		r.headers_out["Cache-Control"] = "no-store"
		r:puts(string.format("retry: %d\nevent: stream-end\ndata: {\"reason\":\"drain\"}\n\n", math.random(1000, 3000)))
	else
		r.status = 503
		r.content_type = "text/plain"
		r:puts("No Sluice runs.\n")
	end
	return apache2.OK
end
