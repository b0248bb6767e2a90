/* machine.h - what one core does in a cycle, where the target's table does not say: the figures behind
 * every estimate of time.
 *
 * Two multiply-adds and two loads, each multiply-add taking four cycles, hold for x86-64 since 2013 and
 * for the larger arm64 cores; a core without vectors issues one at a time. The bytes are streamed by one
 * core that also computes. Servers do twice that where nothing else runs on them; measured on rented
 * ones, shared with strangers. */
#ifndef KILN_SCHEDULE_MACHINE_H
#define KILN_SCHEDULE_MACHINE_H

#define PIPES   2
#define LATENCY 4

#define NEAR_BYTES   36.0 /* a cycle, from the second-level cache */
#define L3_BYTES     10.0 /* from the third                       */
#define STREAM_BYTES 7.0  /* of weights, between multiply-adds, from the third; from memory too, where several
                           * places of it are read at once: see kernel/announce.c */
#define MEMORY_BYTES 4.0

#endif
