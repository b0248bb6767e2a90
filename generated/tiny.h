/* tiny - made by kiln from model 'tiny': see tiny.c. */
#ifndef TINY_H
#define TINY_H

#include <stddef.h>
#include <stdint.h>

#define TINY_ARENA_BYTES 2048 /* activations */
#define TINY_WEIGHT_BYTES 1420
#define TINY_IMAGE_SIZE 128 /* input: image, [1, 2, 8, 8] */
#define TINY_SCORES_SIZE 3 /* output: scores, [1, 3] */
#define TINY_LABEL_SIZE 1 /* output: label, [1] */

#ifdef __cplusplus
extern "C" {
#endif

/* Inputs, then outputs, row-major; pointers need the alignment of their elements, and outputs
 * must not overlap inputs. */
void tiny_infer(const float *image, float *scores, int32_t *label);

#ifdef __cplusplus
}
#endif
#endif
