-- Ten messages as one event, or those that there are five seconds after the first. The second half
-- is called by the timer, when no message comes.
local batch = {}

local function take()
	local full = {batch = batch, count = #batch}
	batch = {}
	return full
end

return function(channel, message, event)
	if message == nil then
		return #batch > 0 and take() or nil
	end
	batch[#batch + 1] = {channel = channel, data = message}
	if #batch == 10 then
		return take()
	end
	if #batch == 1 then
		event:after(5000)
	end
	return nil
end
