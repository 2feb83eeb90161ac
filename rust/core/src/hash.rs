//! The one hash of the core's tables: `mix(bits(id))`.

/// One multiplication that mixes all bits into both ends of the result.
///
/// Ids come from the database's sequence and not from strangers, so no secret seed is needed; a
/// fixed one keeps runs repeatable.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the bits are mixed, their value has no meaning"
)]
pub(crate) fn mix(key: u64) -> u64 {
    let product = u128::from(key ^ 0x9E37_79B9_7F4A_7C15) * u128::from(0xD6E8_FEB8_6659_FD93_u64);
    (product >> 64) as u64 ^ product as u64
}

/// The bits of an id, whatever its sign.
#[allow(clippy::cast_sign_loss, reason = "only the bits are wanted")]
pub(crate) fn bits(id: i64) -> u64 {
    id as u64
}
