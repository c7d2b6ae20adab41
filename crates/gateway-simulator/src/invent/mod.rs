//! Invented transport complaints. Everything here is made up for this simulator: no name, number or text is of a real person.
//!
//! Each order is a function of (seed, number), so a restarted platform goes on as if it had not stopped.

pub mod car;
mod text;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::clock;
use crate::record::{Completion, Event, Order, Visit, state};
use text::Template;

/// A generator for one step of one order.
pub fn rng_for(seed: u64, number: &str, step: u64) -> ChaCha8Rng {
    // FNV-1a: stable over builds and platforms, unlike the standard library's hasher.
    let hash = number
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    ChaCha8Rng::seed_from_u64(seed ^ hash ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Picks one of a non-empty list.
pub fn pick<'a>(rng: &mut ChaCha8Rng, list: &[&'a str]) -> &'a str {
    list.get(rng.random_range(0..list.len().max(1))).copied().unwrap_or_default()
}

/// What an order is about. Drawn once: its title and its content speak of the same.
struct Matter {
    plate: String,
    road: &'static str,
    to: &'static str,
    line: String,
    metro: &'static str,
    fare: String,
    occurred: String,
}

impl Matter {
    fn fill(&self, pattern: &str) -> String {
        pattern
            .replace("{plate}", &self.plate)
            .replace("{road}", self.road)
            .replace("{to}", self.to)
            .replace("{line}", &self.line)
            .replace("{metro}", self.metro)
            .replace("{fare}", &self.fare)
            .replace("{time}", &self.occurred)
    }
}

/// A new order, accepted at `now_ms`.
pub fn order(seed: u64, number: String, now_ms: i64) -> Order {
    let all: Vec<&Template> = text::TEMPLATES.iter().collect();
    about(seed, number, now_ms, &all, None)
}

/// A new order of one of these kinds, of the car with this plate where one is known.
fn about(seed: u64, number: String, now_ms: i64, kinds: &[&Template], car: Option<&str>) -> Order {
    let mut rng = rng_for(seed, &number, 0);
    let now = clock::wire_time(now_ms);
    let template = kinds[rng.random_range(0..kinds.len())];
    let occurred = clock::wire_time(now_ms - rng.random_range(600..172_800) * 1000);
    let road = pick(&mut rng, text::ROADS);
    let secret = rng.random_bool(0.04);
    let anonymous = rng.random_bool(0.06);
    let phone = phone(&mut rng);
    let matter = Matter {
        plate: car.map_or_else(|| plate(&mut rng), str::to_owned),
        road,
        to: pick(&mut rng, text::ROADS),
        line: rng.random_range(1..899).to_string(),
        metro: pick(&mut rng, text::METRO),
        fare: rng.random_range(18..260).to_string(),
        occurred: occurred.clone(),
    };
    let title = matter.fill(template.title);
    let mut content = matter.fill(template.content);
    if rng.random_bool(0.1) {
        // Tabs and line breaks as they come out of web forms; they must survive byte for byte.
        content = format!("\n\t\t{content}\r\n\t诉求:{}\n", pick(&mut rng, text::DEMANDS));
    }
    let order_type = if rng.random_bool(0.005) { "07" } else { template.order_type };
    Order {
        order_no: number,
        create_time: now.clone(),
        update_time: now,
        order_type: order_type.to_owned(),
        category: template.category.to_owned(),
        title,
        content,
        source_type: pick(&mut rng, &["phone", "phone", "phone", "wechat", "web", "app", ""]).to_owned(),
        address: if rng.random_bool(0.9) {
            format!("广州市{}{road}", pick(&mut rng, text::DISTRICTS))
        } else {
            String::new()
        },
        occur_time: if rng.random_bool(0.1) {
            clock::day_of(&occurred).to_owned()
        } else if rng.random_bool(0.15) {
            String::new()
        } else {
            occurred
        },
        urgency: pick(&mut rng, &["1", "1", "1", "1", "2", "3"]).to_owned(),
        is_secret: u8::from(secret).to_string(),
        is_anonymous: u8::from(anonymous).to_string(),
        caller_name: if anonymous { String::new() } else { name(&mut rng) },
        caller_phone: phone.clone(),
        contact_phone: if rng.random_bool(0.7) { phone } else { String::new() },
        state: state::ACCEPTED.to_owned(),
        unit: String::new(),
        deadline: format!("{} 23:59:59", clock::day_of(&clock::wire_time(now_ms + 21 * 86_400_000))),
        call_label: if rng.random_bool(0.1) { "重点关注".to_owned() } else { String::new() },
        ..Order::default()
    }
}

/// An order of the province's own, dispatched to the city: one that needs more than one city, or a spot check 抽检工单 with a deadline of its own.
pub fn provincial_order(seed: u64, number: String, now_ms: i64) -> Order {
    let mut rng = rng_for(seed, &number, 1 << 41);
    let mut order = order(seed, number, now_ms);
    order.order_type = match order.order_type.as_str() {
        "01" | "02" => "1",
        "03" | "04" => "2",
        "05" | "06" => "3",
        _ => "9",
    }
    .to_owned();
    let spot_check = rng.random_bool(0.3);
    let days = if spot_check { 3 } else { 10 };
    order.deadline = format!("{} 18:00:00", clock::day_of(&clock::wire_time(now_ms + days * 86_400_000)));
    if spot_check {
        order.source_type = "spot_check".to_owned();
        order.category = "抽检工单/服务质量".to_owned();
        order.title = format!("【抽检】{}", order.title);
    } else {
        order.source_type = "province".to_owned();
    }
    order
}

/// A complaint scanned in a taxi, nearly always in one of the fleet's cars.
pub fn scan(seed: u64, number: String, now_ms: i64) -> Order {
    let mut rng = rng_for(seed, &number, 0x7a);
    let nth = rng.random_range(0..car::FLEET);
    let (mut car, picture) = (car::car(seed, nth), rng.random_range(1..999));
    match rng.random_range(0..100) {
        // The code of a car that nobody registered, and one that says the company of before.
        0..6 => car.plate_no = plate(&mut rng),
        6..12 => car.company_name = car::company((nth + 1) % car::COMPANIES),
        _ => {}
    }
    let written = |plate: &str, dot: &str| {
        let (head, rest) = plate.split_at_checked(4).unwrap_or((plate, ""));
        format!("{head}{dot}{rest}")
    };
    let dot = pick(&mut rng, &["", "·"]);
    let taxis: Vec<&Template> =
        text::TEMPLATES.iter().filter(|template| template.category.contains("出租车")).collect();
    let mut order = about(seed, number, now_ms, &taxis, Some(&car.plate_no));
    order.order_type = "03".to_owned();
    order.category = "交通运输/出租车管理/服务质量".to_owned();
    order.source_type = "taxi_qr".to_owned();
    order.qr_code_id = format!("TX-{nth:04}");
    order.plate_no = written(&car.plate_no, dot);
    order.company_name = car.company_name;
    order.pictures = reference(picture, "");
    order
}

/// The reference of a picture: a short path as most have it, or one with signs that an address must escape.
fn reference(nth: u32, which: &str) -> String {
    if nth.is_multiple_of(10) { format!("p/现场 {nth}{which}.png") } else { format!("p/{nth}{which}.jpg") }
}

/// What a passenger wrote on 出租微信: a car, but no code that was scanned.
pub fn taxi_letter(seed: u64, number: String, now_ms: i64) -> Order {
    let mut order = scan(seed, number, now_ms);
    order.source_type = "taxi_wechat".to_owned();
    order.qr_code_id = String::new();
    order
}

/// What a citizen wrote on WeChat or the website.
pub fn letter(seed: u64, number: String, now_ms: i64) -> Order {
    let mut rng = rng_for(seed, &number, 0x7b);
    let picture = rng.random_range(1..999);
    let mut order = order(seed, number, now_ms);
    order.source_type = pick(&mut rng, &["wechat", "website"]).to_owned();
    order.pictures = format!("{},{}", reference(picture, ""), reference(picture, "b"));
    order
}

/// A handling unit.
pub fn unit(rng: &mut ChaCha8Rng) -> String {
    pick(rng, text::UNITS).to_owned()
}

/// An event of the platform's own. Its id is unique by order and version.
pub fn event(rng: &mut ChaCha8Rng, id: String, kind: &str, now_ms: i64) -> Event {
    let text = match kind {
        "supplement" => pick(rng, text::SUPPLEMENTS),
        "urge" => pick(rng, text::URGES),
        "supervise" => "请承办单位按时限办理并报送结果。",
        "review_rejected" => pick(rng, text::REJECTIONS),
        "rehandle" => "市民对办理结果不满意,请重新核实办理。",
        "return_refused" => "经核,属你单位职责范围,不同意退单。",
        "return_agreed" => "同意退单。",
        "extension_approved" => "同意延期。",
        "extension_denied" => "理由不充分,请按原时限办理。",
        "appeal_upheld" => "申诉成立,不计入考核。",
        "appeal_rejected" => "申诉材料不足以说明,维持原评价。",
        _ => "",
    };
    Event {
        event_id: id,
        kind: kind.to_owned(),
        time: clock::wire_time(now_ms),
        text: text.to_owned(),
        ..Event::default()
    }
}

/// A visit with its rating.
pub fn visit(rng: &mut ChaCha8Rng, order: &Order, now_ms: i64) -> Visit {
    let connected = rng.random_bool(0.85);
    let satisfaction = if connected { pick(rng, &["1", "1", "2", "2", "2", "3", "4", "5", "9"]) } else { "9" };
    Visit {
        visit_no: order.visits.len() as u32 + 1,
        round: order.round,
        visit_time: clock::wire_time(now_ms),
        connected: u8::from(connected).to_string(),
        satisfaction: satisfaction.to_owned(),
        is_solved: if connected { u8::from(satisfaction < "4").to_string() } else { String::new() },
        opinion: if connected && rng.random_bool(0.5) { pick(rng, text::OPINIONS).to_owned() } else { String::new() },
    }
}

/// A completion by the platform itself 即时答复.
pub fn direct_completion(rng: &mut ChaCha8Rng, order: &Order, now_ms: i64) -> Completion {
    Completion {
        round: order.round,
        reply_content: pick(rng, text::DIRECT_ANSWERS).to_owned(),
        reply_time: clock::wire_time(now_ms),
        reply_unit: "市12345热线中心".to_owned(),
    }
}

/// A reply of the desk.
pub fn reply(rng: &mut ChaCha8Rng, number: &str, round: u32) -> String {
    let again = if round > 0 { format!("经第{round}次复核,") } else { String::new() };
    format!("您好,关于您反映的问题(工单{number}),{again}{}", pick(rng, text::REPLIES))
}

/// Why the desk refuses an order.
pub fn refusal(rng: &mut ChaCha8Rng) -> &'static str {
    pick(rng, text::REFUSALS)
}

/// Some other wording of a title, for edits.
pub fn retitle(rng: &mut ChaCha8Rng, title: &str) -> String {
    format!("{}{}", pick(rng, &["【更正】", "【核实】", "【补录】", "【重点】"]), title)
}

/// Some other address, for edits.
pub fn readdress(rng: &mut ChaCha8Rng) -> String {
    format!("广州市{}{}{}号", pick(rng, text::DISTRICTS), pick(rng, text::ROADS), rng.random_range(1..500))
}

fn name(rng: &mut ChaCha8Rng) -> String {
    format!("{}{}", pick(rng, text::SURNAMES), pick(rng, &["女士", "先生", "小姐", "某", "某某"]))
}

fn phone(rng: &mut ChaCha8Rng) -> String {
    format!("1{}{:09}", pick(rng, &["3", "5", "7", "8"]), rng.random_range(0..1_000_000_000))
}

fn plate(rng: &mut ChaCha8Rng) -> String {
    const SERIAL: &[&str] = &["A", "B", "C", "E", "G", "H", "K", "M", "P", "Q", "T", "X"];
    if rng.random_bool(0.6) {
        format!("粤A{}{:05}", pick(rng, &["D", "F"]), rng.random_range(0..100_000))
    } else {
        format!("粤A{}{:04}", pick(rng, SERIAL), rng.random_range(0..10_000))
    }
}
