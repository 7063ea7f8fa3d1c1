-- At most one message a second, and never without the newest: what comes too early is kept, each
-- in place of the one before, and goes when the second is over.
local closed, held = false, nil

return function(channel, message, event)
	if message ~= nil then
		if closed then
			held = message
			return nil
		end
		closed = true
		event:after(1000)
		return message
	end
	local newest = held
	held = nil
	closed = newest ~= nil
	if closed then
		event:after(1000)
	end
	return newest
end
