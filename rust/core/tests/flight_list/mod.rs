//! The naive twin of the flight table, for its model test.

use pacewheel_core::{End, FlightConfig, FlightStats};

/// One key in the plainest form; it is dead when it has neither an answer nor a flight.
pub(crate) struct Known {
    pub(crate) key: i64,
    answer: Option<(Option<u64>, i64, i64, i64)>,
    flight: Option<u64>,
    is_referenced: bool,
    lost: &'static str,
}

/// What the table promises, by linear search and with everything done at once.
pub(crate) struct Model {
    pub(crate) config: FlightConfig,
    pub(crate) known: Vec<Known>,
    pub(crate) air: Vec<(u64, i64)>,
    evicted: Vec<i64>,
    hand: usize,
    pub(crate) flights: u64,
    pub(crate) stats: FlightStats,
}

/// A `Lookup` that owns its value.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Hit(Option<u64>),
    Stale(Option<u64>, Option<u64>),
    Join(u64),
    Lead(u64),
    Full,
}

impl Model {
    pub(crate) fn new(config: FlightConfig) -> Self {
        Self {
            config,
            known: Vec::new(),
            air: Vec::new(),
            evicted: Vec::new(),
            hand: 0,
            flights: 0,
            stats: FlightStats::default(),
        }
    }

    fn find(&self, key: i64) -> Option<usize> {
        self.known.iter().position(|known| known.key == key)
    }

    fn start(&mut self, place: usize) -> u64 {
        self.flights += 1;
        self.air.push((self.flights, self.known[place].key));
        self.known[place].flight = Some(self.flights);
        self.flights
    }

    fn is_full(&self) -> bool {
        self.air.len() == self.config.flights_max
    }

    pub(crate) fn peek(&mut self, key: i64, now: i64) -> Option<Answer> {
        let place = self.find(key)?;
        let known = &mut self.known[place];
        let (value, fresh, usable, refresh) = known.answer?;
        if now < fresh {
            self.stats.hits += 1;
        } else if now < usable && (known.flight.is_some() || now < refresh) {
            self.stats.stale_hits += 1;
        } else {
            return None;
        }
        known.is_referenced = true;
        Some(Answer::Hit(value))
    }

    pub(crate) fn lookup(&mut self, key: i64, now: i64) -> Answer {
        if self.find(key).is_none() && self.is_full() {
            self.stats.refused += 1;
            return Answer::Full;
        }
        let place = self.find(key);
        if let Some(place) = place {
            self.known[place].is_referenced = true;
        }
        let place = place.unwrap_or_else(|| self.place(key).expect("fewer flights than places"));
        let known = &self.known[place];
        if let Some((value, fresh, usable, refresh)) = known.answer {
            if now < fresh {
                self.stats.hits += 1;
                return Answer::Hit(value);
            }
            if now < usable {
                self.stats.stale_hits += 1;
                if known.flight.is_some() || now < refresh || self.is_full() {
                    return Answer::Stale(value, None);
                }
                self.stats.refreshes += 1;
                return Answer::Stale(value, Some(self.start(place)));
            }
        }
        if let Some(flight) = known.flight {
            self.stats.joins += 1;
            return Answer::Join(flight);
        }
        if self.is_full() {
            self.stats.refused += 1;
            return Answer::Full;
        }
        if self.known[place].answer.take().is_some() {
            self.known[place].lost = "expired";
        }
        match self.known[place].lost {
            "absent" => self.stats.misses_absent += 1,
            "expired" => self.stats.misses_expired += 1,
            "invalidated" => self.stats.misses_invalidated += 1,
            _ => self.stats.misses_evicted += 1,
        }
        Answer::Lead(self.start(place))
    }

    pub(crate) fn finish(
        &mut self,
        flight: u64,
        end: End<u64>,
        now: i64,
        jitter: i16,
    ) -> Option<bool> {
        let at = self.air.iter().position(|(id, _)| *id == flight)?;
        let (_, key) = self.air.remove(at);
        let place = self
            .find(key)
            .filter(|&place| self.known[place].flight == Some(flight));
        match (end, place) {
            (End::Failed, _) => self.stats.loads_error += 1,
            (End::TimedOut, _) => self.stats.loads_timeout += 1,
            (_, None) => self.stats.loads_superseded += 1,
            (End::Found(_), _) => self.stats.loads_ok += 1,
            (End::Absent, _) => self.stats.loads_absent += 1,
        }
        let Some(place) = place else {
            return Some(false);
        };
        self.known[place].flight = None;
        match end {
            End::Found(value) => self.store(place, Some(value), now, jitter),
            End::Absent => self.store(place, None, now, jitter),
            End::Failed | End::TimedOut => {
                if let Some(answer) = &mut self.known[place].answer {
                    answer.3 = now + self.config.retry_ms;
                }
                return Some(false);
            }
        }
        Some(true)
    }

    fn store(&mut self, place: usize, value: Option<u64>, now: i64, jitter: i16) {
        let config = self.config;
        let (ttl, stale) = if value.is_some() {
            (config.ttl_ms, config.stale_ms)
        } else {
            (config.absent_ttl_ms, 0)
        };
        let fresh = now + ttl + (ttl * i64::from(jitter)).div_euclid(1000);
        self.known[place].answer = Some((value, fresh, fresh + stale, fresh));
    }

    pub(crate) fn put(&mut self, key: i64, value: u64, now: i64, jitter: i16) -> bool {
        let Some(place) = self.find(key).or_else(|| self.place(key)) else {
            return false;
        };
        self.known[place].flight = None;
        self.store(place, Some(value), now, jitter);
        true
    }

    pub(crate) fn invalidate(&mut self, key: i64) -> bool {
        let Some(place) = self.find(key) else {
            return false;
        };
        let known = &mut self.known[place];
        let was_alive = known.answer.take().is_some() | known.flight.take().is_some();
        if was_alive {
            known.lost = "invalidated";
        }
        was_alive
    }

    fn place(&mut self, key: i64) -> Option<usize> {
        let lost = if self.evicted.contains(&key) {
            "evicted"
        } else {
            "absent"
        };
        let new = Known {
            key,
            answer: None,
            flight: None,
            is_referenced: false,
            lost,
        };
        let place = if self.known.len() < self.config.capacity {
            self.known.push(new);
            self.known.len() - 1
        } else {
            let place = self.evict()?;
            self.known[place] = new;
            place
        };
        self.evicted.retain(|&other| other != key);
        Some(place)
    }

    fn evict(&mut self) -> Option<usize> {
        if self.known.iter().all(|known| known.flight.is_some()) {
            // The hand goes round twice for nothing, and clears no bit of those in flight.
            return None;
        }
        loop {
            let place = self.hand;
            self.hand = (place + 1) % self.known.len();
            let known = &mut self.known[place];
            if known.answer.is_none() && known.flight.is_none() {
                return Some(place);
            }
            if known.flight.is_some() {
                continue;
            }
            if known.is_referenced {
                known.is_referenced = false;
                continue;
            }
            if self.evicted.len() == self.config.capacity {
                self.evicted.clear();
            }
            self.evicted.push(known.key);
            self.stats.evictions += 1;
            return Some(place);
        }
    }
}
