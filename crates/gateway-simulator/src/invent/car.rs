//! The fleet: the taxis that invented scans were made in, and that the operating-data service knows.
//!
//! A car is a function of (seed, place in the fleet), so that both sides have the same cars without telling each other.

use rand::Rng as _;

use super::rng_for;
use crate::operating_data::{Car, Driver};

/// How many cars there are.
pub const FLEET: usize = 1_000;

/// How many companies they belong to.
pub(super) const COMPANIES: usize = 9;

/// A car of the fleet. No two have the same plate.
pub fn car(seed: u64, nth: usize) -> Car {
    let mut rng = rng_for(seed, "cars", nth as u64 + 1);
    // 397 shares no divisor with 100,000: every place has a number of its own.
    let number = (seed % 100_000) as usize + nth * 397;
    let number = number % 100_000;
    // Every third is a new-energy car.
    let green = nth.is_multiple_of(3);
    Car {
        plate_no: if green { format!("粤AD{number:05}") } else { format!("粤A{number:05}") },
        plate_color: if green { "94" } else { "1" }.to_owned(),
        company_name: company(nth % COMPANIES),
        drivers: vec![Driver {
            driver_licence: format!("{:019}", rng.next_u64() >> 4),
            driver_name: format!("测试{}", ["甲", "乙", "丙", "丁"][nth % 4]),
        }],
        trips: Vec::new(),
    }
}

/// A company.
pub(super) fn company(nth: usize) -> String {
    format!("模拟{}号出租汽车有限公司", nth + 1)
}
