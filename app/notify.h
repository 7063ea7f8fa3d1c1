#ifndef SLUICE_NOTIFY_H
#define SLUICE_NOTIFY_H

/*
 * notify - tells a service manager how the program is, by the protocol of sd_notify(3): a datagram
 * to the socket that NOTIFY_SOCKET names. If that is not set, nothing is sent.
 */
#include <stdint.h>
#include <sys/types.h>

void notify_ready(void);
void notify_reloading(void); /* followed by notify_ready() */
void notify_stopping(void);
void notify_main_pid(pid_t pid); /* that process is the service from now on, and is ready */
void notify_alive(void);         /* for WatchdogSec= */

/* notify_alive_ms - how often notify_alive() must be called; 0: never. */
uint64_t notify_alive_ms(void);

#endif
