<?php
// A session as Laravel itself writes it, by its own classes as Debian has them, and the cookie that a browser is given:
//
//	php laravel-session.php SOCKET APP_KEY CIPHER USER
foreach (['Encryption', 'Cookie', 'Session', 'Cache', 'Redis', 'Support', 'Container', 'Filesystem'] as $part)
	require_once "/usr/share/php/Illuminate/$part/autoload.php";

use Illuminate\Cache\RedisStore;
use Illuminate\Cache\Repository;
use Illuminate\Cookie\CookieValuePrefix;
use Illuminate\Encryption\Encrypter;
use Illuminate\Redis\RedisManager;
use Illuminate\Session\CacheBasedSessionHandler;
use Illuminate\Session\Store;

[, $socket, $app_key, $cipher, $user] = $argv;
$key = base64_decode(substr($app_key, strlen('base64:')));
$redis = new RedisManager(null, 'phpredis', ['options' => ['prefix' => 'laravel_database_'],
	'default' => ['host' => $socket, 'port' => 0, 'database' => 0]]);
$handler = new CacheBasedSessionHandler(new Repository(new RedisStore($redis, 'laravel_cache')), 120);
$session = new Store('laravel_session', $handler);
$session->start();
$session->put('login_web_' . sha1('Illuminate\Auth\SessionGuard'), (int) $user);
$session->put('cart', ['apples' => 2, 'pears' => null, 'price' => 1.5]);
$session->save();

$encrypter = new Encrypter($key, $cipher);
echo $encrypter->encrypt(CookieValuePrefix::create('laravel_session', $key) . $session->getId(), false);
