// A site of express-session and connect-redis: signs one visitor in and prints the cookie that it sets.
// Arguments: REDIS-SOCKET SECRET USER
import http from 'node:http';
import session from 'express-session';
import { RedisStore } from 'connect-redis';
import { createClient } from 'redis';

const [path, secret, user] = process.argv.slice(2);
const client = createClient({ socket: { path } });
await client.connect();
const use = session({ store: new RedisStore({ client }), secret, resave: false, saveUninitialized: false });
const server = http.createServer((req, res) => use(req, res, () => {
	req.session.passport = { user };
	res.end();
}));
server.listen(0, '127.0.0.1', async () => {
	const answer = await fetch(`http://127.0.0.1:${server.address().port}/`);
	console.log(answer.headers.get('set-cookie').split(';')[0]);
	server.close();
	server.closeAllConnections();
	await client.quit();
});
