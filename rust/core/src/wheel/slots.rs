//! Slot arithmetic and occupancy bitmaps: pure functions, tested exhaustively below.
//!
//! A *tick* is one millisecond, a *block* is as many ticks as the near wheel has slots. Both may be
//! negative: a shift rounds towards minus infinity and a mask gives the matching remainder, so
//! nothing special happens at zero.

/// The block that holds `tick`, for a near wheel of `near` slots (a power of two).
pub(crate) const fn block_of(tick: i64, near: usize) -> i64 {
    tick >> near.trailing_zeros()
}

/// The first tick of `block`.
pub(crate) const fn block_start(block: i64, near: usize) -> i64 {
    block << near.trailing_zeros()
}

/// `value` modulo a power of two, never negative: the slot of a tick or of a block.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the mask keeps only bits that fit, and two's complement makes it the remainder"
)]
pub(crate) const fn modulo(value: i64, slots: usize) -> usize {
    value as usize & (slots - 1)
}

/// How many blocks after `block` the far slot `slot` stands for: 1 to `far`.
///
/// The slot of `block` itself stands for the block one whole turn later, since the timers of the
/// current block are in the near wheel.
pub(crate) const fn blocks_ahead(block: i64, slot: usize, far: usize) -> usize {
    ((slot + far - modulo(block, far) - 1) & (far - 1)) + 1
}

const WORDS: usize = 16;

/// The widest wheel that [`Occupancy`] can describe.
pub(crate) const SLOTS_MAX: usize = WORDS * 64;

/// Which slots hold timers: one bit a slot, and one summary bit a word.
///
/// The first occupied slot is two `trailing_zeros` away, however empty the wheel is.
#[derive(Clone, Copy)]
pub(crate) struct Occupancy {
    words: [u64; WORDS],
    summary: u64,
}

impl Occupancy {
    pub(crate) const EMPTY: Self = Self {
        words: [0; WORDS],
        summary: 0,
    };

    pub(crate) fn set(&mut self, slot: usize) {
        self.words[slot / 64] |= 1 << (slot % 64);
        self.summary |= 1 << (slot / 64);
    }

    pub(crate) fn clear(&mut self, slot: usize) {
        let word = &mut self.words[slot / 64];
        *word &= !(1 << (slot % 64));
        if *word == 0 {
            self.summary &= !(1 << (slot / 64));
        }
    }

    pub(crate) fn contains(&self, slot: usize) -> bool {
        self.words[slot / 64] >> (slot % 64) & 1 == 1
    }

    /// The lowest occupied slot.
    pub(crate) fn first(&self) -> Option<usize> {
        if self.summary == 0 {
            return None;
        }
        let word = self.summary.trailing_zeros() as usize;
        Some(word * 64 + self.words[word].trailing_zeros() as usize)
    }

    /// The first occupied slot from `start` on, going round the end once.
    pub(crate) fn first_from(&self, start: usize) -> Option<usize> {
        let word = start / 64;
        let here = self.words[word] & (u64::MAX << (start % 64));
        if here != 0 {
            return Some(word * 64 + here.trailing_zeros() as usize);
        }
        let later = self.summary & (u64::MAX << word << 1);
        if later != 0 {
            let word = later.trailing_zeros() as usize;
            return Some(word * 64 + self.words[word].trailing_zeros() as usize);
        }
        self.first()
    }

    /// Whether each summary bit tells the truth about its word.
    pub(crate) fn summary_is_true(&self) -> bool {
        (0..WORDS).all(|word| (self.words[word] != 0) == (self.summary >> word & 1 == 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_and_blocks_agree_around_zero_and_across_four_blocks() {
        for near in [2_usize, 4, 64, 1024] {
            let width = i64::try_from(near).unwrap();
            for tick in -2 * width..2 * width {
                let block = block_of(tick, near);
                let slot = i64::try_from(modulo(tick, near)).unwrap();
                assert_eq!(tick.div_euclid(width), block, "tick {tick}, near {near}");
                assert_eq!(tick.rem_euclid(width), slot, "tick {tick}, near {near}");
                assert_eq!(tick, block_start(block, near) + slot);
            }
        }
    }

    #[test]
    fn every_far_slot_stands_for_exactly_one_block_ahead() {
        for far in [2_usize, 4, 512] {
            for block in -3..i64::try_from(far).unwrap() + 3 {
                for ahead in 1..=far {
                    let slot = modulo(block + i64::try_from(ahead).unwrap(), far);
                    assert_eq!(
                        ahead,
                        blocks_ahead(block, slot, far),
                        "block {block}, far {far}"
                    );
                }
            }
        }
    }

    #[test]
    fn one_occupied_slot_is_found_from_everywhere() {
        for slot in 0..SLOTS_MAX {
            let mut occupancy = Occupancy::EMPTY;
            occupancy.set(slot);
            assert!(occupancy.contains(slot) && occupancy.summary_is_true());
            assert_eq!(Some(slot), occupancy.first());
            for start in 0..SLOTS_MAX {
                assert_eq!(
                    Some(slot),
                    occupancy.first_from(start),
                    "slot {slot}, from {start}"
                );
            }
            occupancy.clear(slot);
            assert!(!occupancy.contains(slot) && occupancy.summary_is_true());
            assert_eq!(
                (None, None),
                (occupancy.first(), occupancy.first_from(slot))
            );
        }
    }

    #[test]
    fn of_two_occupied_slots_the_nearer_one_is_found() {
        for (low, high) in [(0, 1), (0, 63), (5, 64), (63, 64), (127, 511), (0, 1023)] {
            let mut occupancy = Occupancy::EMPTY;
            occupancy.set(low);
            occupancy.set(high);
            for start in 0..SLOTS_MAX {
                let expected = if start > low && start <= high {
                    high
                } else {
                    low
                };
                assert_eq!(
                    Some(expected),
                    occupancy.first_from(start),
                    "{low}, {high}, {start}"
                );
            }
        }
    }
}
