// One entry a function of NVIDIA's libraries, for x86-64. A program that is linked with these instead of the libraries
// starts without them: the first call of a function goes through alexnet_enter to alexnet_resolve (resolve.c), which
// opens the library and writes the function's address into alexnet_table; later calls are one indirect jump. All is
// hidden, so that NVIDIA's libraries never find these entries instead of each other's functions.

	.text
#define F(number, name, library, returns) \
	.globl name; .hidden name; .type name, @function; \
name:	jmp *alexnet_table + 8 * number(%rip); \
.Lfirst##number: movl $number, %r11d; jmp alexnet_enter; \
	.size name, . - name;
#include "functions.inc"
#undef F

// %r11d: the function's number. Arguments, in registers and on the stack, must reach the function as they are: the
// registers that carry arguments are saved around the call of alexnet_resolve. At a function's entry the stack is 8
// short of a multiple of 16; seven pushes and 128 for xmm0 to xmm7 make it one.
	.type alexnet_enter, @function
alexnet_enter:
	pushq %rdi
	pushq %rsi
	pushq %rdx
	pushq %rcx
	pushq %r8
	pushq %r9
	pushq %rax
	subq $128, %rsp
	movups %xmm0, (%rsp)
	movups %xmm1, 16(%rsp)
	movups %xmm2, 32(%rsp)
	movups %xmm3, 48(%rsp)
	movups %xmm4, 64(%rsp)
	movups %xmm5, 80(%rsp)
	movups %xmm6, 96(%rsp)
	movups %xmm7, 112(%rsp)
	movl %r11d, %edi
	call alexnet_resolve
	movq %rax, %r11
	movups (%rsp), %xmm0
	movups 16(%rsp), %xmm1
	movups 32(%rsp), %xmm2
	movups 48(%rsp), %xmm3
	movups 64(%rsp), %xmm4
	movups 80(%rsp), %xmm5
	movups 96(%rsp), %xmm6
	movups 112(%rsp), %xmm7
	addq $128, %rsp
	popq %rax
	popq %r9
	popq %r8
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
	jmp *%r11
	.size alexnet_enter, . - alexnet_enter

	.data
	.balign 8
	.globl alexnet_table
	.hidden alexnet_table
alexnet_table:
#define F(number, name, library, returns) .quad .Lfirst##number;
#include "functions.inc"
#undef F
	.size alexnet_table, . - alexnet_table

	.section .note.GNU-stack, "", @progbits
