/* What the bindings and the policy use of a C library. A plugin allocates during a call and frees all of it at the end, so memory
 * is handed out in a row, and when nothing is in use any more it starts again from the beginning. */
#include <stdlib.h>
#include <string.h>

extern unsigned char __heap_base;

static unsigned char *next, *limit;
static size_t in_use;

/* The size of a piece is kept in the 16 bytes before it. */
#define HEAD 16

void *malloc(size_t size)
{
	if (size > (size_t)1 << 30)
		return NULL;
	if (in_use == 0)
		next = (unsigned char *)(((size_t)&__heap_base + HEAD - 1) & ~(size_t)(HEAD - 1));
	if (!limit)
		limit = (unsigned char *)(__builtin_wasm_memory_size(0) << 16);
	unsigned char *piece = next + HEAD;
	unsigned char *end = piece + ((size + HEAD - 1) & ~(size_t)(HEAD - 1));
	if (end > limit) {
		size_t pages = ((size_t)(end - limit) + 65535) >> 16;
		if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1)
			return NULL;
		limit += pages << 16;
	}
	*(size_t *)next = size;
	next = end;
	in_use++;
	return piece;
}

void free(void *piece)
{
	if (piece)
		in_use--;
}

void *realloc(void *old, size_t size)
{
	void *piece = malloc(size);
	if (old && piece) {
		size_t had = *(size_t *)((unsigned char *)old - HEAD);
		memcpy(piece, old, had < size ? had : size);
		free(old);
	}
	return piece;
}

void abort(void)
{
	__builtin_trap();
}

void *memcpy(void *to, const void *from, size_t size)
{
	return __builtin_memcpy(to, from, size);
}

void *memset(void *to, int byte, size_t size)
{
	return __builtin_memset(to, byte, size);
}

int memcmp(const void *a, const void *b, size_t size)
{
	const unsigned char *x = a, *y = b;
	for (; size; size--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *text)
{
	const char *end = text;
	while (*end)
		end++;
	return (size_t)(end - text);
}
