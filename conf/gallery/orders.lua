-- Three channels in one stream: what kind a message is, its channel says.
local types = {orders = "order", payments = "payment", shipments = "shipment"}

return function(channel, message, event)
	event:message({type = types[channel], data = message}, channel)
end
