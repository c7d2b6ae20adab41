//! Invented transport complaints. Everything here is made up for this simulator: no name, number or text is of a real person.
//!
//! Each order is a function of (seed, number), so a restarted platform goes on as if it had not stopped.

mod text;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::clock;
use crate::record::{Completion, Event, Order, Visit, state};

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

/// A new order, accepted at `now_ms`.
pub fn order(seed: u64, number: String, now_ms: i64) -> Order {
    let mut rng = rng_for(seed, &number, 0);
    let now = clock::wire_time(now_ms);
    let template = &text::TEMPLATES[rng.random_range(0..text::TEMPLATES.len())];
    let occurred = clock::wire_time(now_ms - rng.random_range(600..172_800) * 1000);
    let road = pick(&mut rng, text::ROADS);
    let secret = rng.random_bool(0.04);
    let anonymous = rng.random_bool(0.06);
    let phone = phone(&mut rng);
    let fill = |pattern: &str, rng: &mut ChaCha8Rng| {
        let plate = plate(rng);
        pattern
            .replace("{plate}", &plate)
            .replace("{road}", road)
            .replace("{to}", pick(rng, text::ROADS))
            .replace("{line}", &rng.random_range(1..899).to_string())
            .replace("{metro}", pick(rng, text::METRO))
            .replace("{fare}", &rng.random_range(18..260).to_string())
            .replace("{time}", &occurred)
    };
    let title = fill(template.title, &mut rng);
    let mut content = fill(template.content, &mut rng);
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

/// A complaint scanned in a taxi.
pub fn scan(seed: u64, number: String, now_ms: i64) -> Order {
    let mut rng = rng_for(seed, &number, 0x7a);
    let (car, company, picture) = (plate(&mut rng), rng.random_range(1..9), rng.random_range(1..999));
    let mut order = order(seed, number, now_ms);
    order.order_type = "03".to_owned();
    order.category = "交通运输/出租车管理/服务质量".to_owned();
    order.source_type = "taxi_qr".to_owned();
    order.qr_code_id = format!("TX-{picture:04}");
    order.plate_no = pick(&mut rng, &["", "·"]).to_owned();
    order.plate_no = format!("{}{}{}", &car[..4], order.plate_no, &car[4..]);
    order.company_name = format!("模拟{company}号出租汽车有限公司");
    order.pictures = format!("p/{picture}.jpg");
    order
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
    order.pictures = format!("p/{picture}.jpg,p/{picture}b.jpg");
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
