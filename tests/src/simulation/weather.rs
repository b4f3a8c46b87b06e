//! What becomes of requests on their way: by chance, which a seed decides.

use std::time::Duration;

use http::Method;
use zonewright_sandbox::fault::Kind;

/// Chance.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Those of a seed.
    pub fn of(seed: u64) -> Dice {
        Dice(seed)
    }

    /// A number below `n`, by splitmix64.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % n.max(1)
    }

    /// An index below `n`.
    ///
    /// # Panics
    /// Never: it is below an index.
    pub fn index(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).expect("below an index")
    }

    /// Whether something happens once in `n` times.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What becomes of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is carried out, and the reply arrives.
    Fair,
    /// No connection comes to be.
    Refused,
    /// The vendor does this with it.
    Struck(Kind),
    /// It is carried out, and half of the reply arrives.
    Truncated,
    /// It is carried out, and the reply arrives after this time, if somebody still waits for it.
    LateReply(Duration),
    /// The connection breaks; the request is carried out after this time all the same.
    LateArrival(Duration),
    /// Something on the way carries it to the vendor twice.
    Doubled,
}

/// How rough it is.
#[derive(Debug)]
pub(super) struct Weather {
    dice: Dice,
    /// Something happens to one request in so many.
    rarity: u64,
    /// So many requests are still told to come back later.
    limited: u64,
}

/// Longer than anybody waits for a reply.
const LONGEST_LATE: u64 = 90_000;

/// Within what a run lets a lost request settle.
const LONGEST_ARRIVAL: u64 = 3_000;

impl Weather {
    pub(super) fn new(dice: Dice, rarity: u64) -> Weather {
        Weather {
            dice,
            rarity,
            limited: 0,
        }
    }

    /// Whether what a process had under way arrives although the process died.
    pub(super) fn outlives(&mut self) -> bool {
        self.dice.once_in(2)
    }

    pub(super) fn fate(&mut self, method: &Method) -> Fate {
        if self.limited > 0 {
            self.limited -= 1;
            return self.later();
        }
        if !self.dice.once_in(self.rarity) {
            return Fate::Fair;
        }
        let code = [500, 502, 503, 504][self.dice.index(4)];
        let millis = |n: u64| Duration::from_millis(n);
        match self.dice.below(12) {
            0 => Fate::Refused,
            1 => Fate::Struck(Kind::DropBefore),
            2 | 3 => Fate::Struck(Kind::DropAfter),
            4 => Fate::Struck(Kind::Status {
                code,
                body: None,
                headers: Default::default(),
            }),
            5 | 6 => Fate::Struck(Kind::StatusAfter { code }),
            7 => Fate::Truncated,
            8 => Fate::LateReply(millis(self.dice.below(LONGEST_LATE))),
            9 => Fate::LateArrival(millis(self.dice.below(LONGEST_ARRIVAL))),
            // What is created twice by the way itself cannot be told from two creates.
            10 if method == Method::POST => Fate::Fair,
            10 => Fate::Doubled,
            _ => {
                self.limited = self.dice.below(12);
                self.later()
            }
        }
    }

    fn later(&mut self) -> Fate {
        let seconds = 1 + self.dice.below(3);
        Fate::Struck(Kind::Status {
            code: 429,
            body: None,
            headers: [("retry-after".to_owned(), seconds.to_string())].into(),
        })
    }
}
