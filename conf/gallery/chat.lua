-- One room of a chat. A message without user name or text is none.
return function(channel, message, event)
	if not message.username or not message.text then
		return nil
	end
	return {
		id = unique(),
		room_id = params.room_id,
		username = message.username,
		text = message.text,
		timestamp = now,
	}
end
