/* SPDX-License-Identifier: Apache-2.0 */
/* The deadlock watch: a thread that looks after calls into foreign code.
 *
 * Between begin and end, when every thread of the process sleeps in a lock and none has run for
 * half a second, none ever will: the process then ends itself by SIGALRM, which whoever started it
 * counts as a timeout.  Threads that wait for a processor are not asleep, so that no load, however
 * heavy, is taken for a deadlock; code that spins is left to the time limit. */
#ifndef ATT_WATCH_H
#define ATT_WATCH_H

/* Not to be nested; from one thread at a time.  Costs two stores. */
void att_watch_begin(void);
void att_watch_end(void);

#endif
