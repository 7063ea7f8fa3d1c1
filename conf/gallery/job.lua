-- The progress of one job. With its last message the stream is over, for good.
return function(channel, message, event)
	if message.status == "completed" or message.status == "failed" then
		event:message({
			status = message.status,
			percent = 100,
			message = message.message or "Done",
		})
		return false
	end
	return message
end
