//! `profile check` and `profile try` of an operating-data service's profile. Every question only reads.

use super::{check, read, said};
use crate::cli::ProfileTryOptions;
use crate::commands::say;
use crate::{Failure, secrets};
use gateway_connector::profile::OperatingDataProfile;
use gateway_connector::wire::OperatingData;
use gateway_connector::{Credentials, RequestError, Secret};
use gateway_model::{Plate, RegistryEntry, SystemClock};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// A plate that no car has.
const NOBODYS: &str = "粤A00000";

/// The text of a profile, where it is one of an operating-data service.
pub(super) fn meant(file: &Path) -> Result<Option<String>, Failure> {
    let text = read(file)?;
    Ok(OperatingDataProfile::is_meant(&text).then_some(text))
}

pub(super) fn check(text: &str, as_json: bool) -> Result<ExitCode, Failure> {
    let checked = OperatingDataProfile::parse(text);
    match &checked {
        Ok(_) if as_json => say(json!({ "valid": true, "mistakes": [], "remarks": [] })),
        Err(errors) if as_json => say(json!({ "valid": false, "mistakes": check::mistakes(errors), "remarks": [] })),
        Ok(profile) => {
            let (name, version) = (&profile.name, profile.version);
            say(format_args!("operating-data {name} version {version}: valid 配置有效"));
            let kinds: Vec<_> = profile.kinds().into_iter().map(|kind| format!("{kind} {}", kind.chinese())).collect();
            say(format_args!("  is asked of 可查询: {}", kinds.join(", ")));
        }
        Err(errors) => check::tell_mistakes(errors),
    }
    Ok(if checked.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks a live service of a plate that there is not, and of one that there is where one is given.
pub(super) async fn walk(text: &str, options: &ProfileTryOptions) -> Result<ExitCode, Failure> {
    let credentials = Credentials {
        app_id: options.app_id.clone(),
        request_secret: Secret::new(secrets::read(&options.secret_file)?),
        webhook_secrets: Vec::new(),
    };
    let service = match OperatingData::new(text, &options.base_url, credentials, Arc::new(SystemClock)) {
        Ok(service) => service,
        Err(errors) => {
            check::tell_mistakes(&errors);
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut steps = Steps { json: options.json, told: Vec::new() };
    match service.vehicle(NOBODYS).await {
        Ok(None) => steps.step("unknown_plate", "ok", "查无此车 · there is no such car, as it should be", None),
        Ok(Some(_)) => steps.step(
            "unknown_plate",
            "failed",
            &format!("对端说有车牌 {NOBODYS} · the service says that there is a car {NOBODYS}"),
            Some("核对 absent 与 [vehicle.fields].plate · compare `absent` and the path of the plate"),
        ),
        Err(error) => steps.failed("unknown_plate", &error),
    }
    match options.plate.as_deref() {
        None => steps.step("vehicle", "left_out", "未给 --plate · no --plate was given", None),
        Some(written) => match Plate::read(written) {
            None => {
                steps.step("vehicle", "failed", "--plate 不是有效的车牌号 · --plate has not the form of a plate", None)
            }
            Some(plate) => match service.vehicle(plate.as_str()).await {
                Ok(Some(car)) => steps.step("vehicle", "ok", &shown(&car), None),
                Ok(None) => steps.step("vehicle", "failed", "查无此车 · there is no such car", None),
                Err(error) => steps.failed("vehicle", &error),
            },
        },
    }
    Ok(steps.end())
}

/// What a car's answer says; no person is in it.
fn shown(car: &RegistryEntry) -> String {
    let told = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let (colour, company) = (told(&car.facts.plate_colour), told(&car.facts.company));
    format!("{}: 号牌颜色 plate_colour {colour}, 经营企业 company {company}", car.key)
}

struct Steps {
    json: bool,
    told: Vec<Value>,
}

impl Steps {
    fn step(&mut self, name: &str, result: &str, text: &str, remedy: Option<&str>) {
        if !self.json {
            let shown = match result {
                "ok" => "ok 正常",
                "failed" => "FAILED 失败",
                _ => "left out 未试",
            };
            say(format_args!("{name}: {shown} · {text}"));
            if let Some(remedy) = remedy {
                say(format_args!("  → {remedy}"));
            }
        }
        self.told.push(json!({ "step": name, "result": result, "text": text, "remedy": remedy }));
    }

    fn failed(&mut self, name: &str, error: &RequestError) {
        self.step(name, "failed", &Failure::from(error).0, Some(said::remedy(error)));
    }

    fn end(self) -> ExitCode {
        let badly = self.told.iter().filter(|step| step["result"] == "failed").count();
        if self.json {
            say(json!({ "ok": badly == 0, "steps": self.told }));
        } else if badly == 0 {
            say("查询正常，未写入任何内容 · the service answers; nothing was written");
        } else {
            say(format_args!("{badly} 步失败，未写入任何内容 · {badly} failed; nothing was written"));
        }
        if badly == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
