//! The one place where safe code meets the vector unit: whether the processor has it, entering the
//! functions compiled for it, and registers as arrays.

#![expect(
    unsafe_code,
    reason = "entering code compiled for instructions that were found at run time"
)]

use std::arch::x86_64::__m512i;

/// Whether this processor has every instruction that the functions of this module's parent use.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512vbmi2")
}

/// Calls a function compiled for the vector unit; none where the processor has none.
///
/// `task` must be a safe function with this module's target features: they become `unsafe fn` when they
/// are named as a value.
pub(super) fn enter<A, B>(task: unsafe fn(A) -> B, argument: A) -> Option<B> {
    // SAFETY: the only thing such a function asks for is the instructions, which were just looked for.
    is_available().then(|| unsafe { task(argument) })
}

/// A register from its eight lanes.
#[inline]
pub(super) const fn vector(lanes: [u64; 8]) -> __m512i {
    // SAFETY: both are 64 bytes in which every pattern of bits is a value.
    unsafe { std::mem::transmute(lanes) }
}

/// The eight lanes of a register.
#[inline]
pub(super) const fn words(register: __m512i) -> [u64; 8] {
    // SAFETY: both are 64 bytes in which every pattern of bits is a value.
    unsafe { std::mem::transmute(register) }
}
