#ifndef SLUICE_NOTIFY_H
#define SLUICE_NOTIFY_H

/*
 * notify - what a service manager is told: sd_notify(3)'s protocol, a datagram to the socket that
 * NOTIFY_SOCKET names. Without one nothing is sent.
 */
#include <stdint.h>
#include <sys/types.h>

void notify_ready(void);
void notify_reloading(void); /* followed by notify_ready() */
void notify_stopping(void);
void notify_main_pid(pid_t pid); /* that process is the service from now on, and is ready */
void notify_alive(void);         /* for WatchdogSec= */

/* notify_alive_ms - how often notify_alive() is wanted; 0: never. */
uint64_t notify_alive_ms(void);

#endif
