//! `check-config` and `migrate`.

use super::print::say;
use super::said;
use crate::cli::{CheckConfigOptions, InstallationOptions};
use crate::config::{self, ConfigMistake, mistake};
use crate::{Failure, registry};
use gateway_model::SystemClock;
use serde_json::json;
use std::process::ExitCode;
use std::sync::Arc;

/// Tells all mistakes of the configuration, its profiles and secrets; with `connect`, also whether the counterparties answer.
///
/// # Errors
/// Never; mistakes are its result, told by the exit code.
pub async fn check_config(options: CheckConfigOptions) -> Result<ExitCode, Failure> {
    let installation = &options.installation;
    let mut mistakes = Vec::new();
    match config::read(&installation.dir, installation.config_file().as_deref(), &mut mistakes) {
        Err(unreadable) => mistakes.push(unreadable),
        Ok(config) => {
            let channels = registry::connect_all(&config, Arc::new(SystemClock), &mut mistakes);
            let operating_data = registry::operating_data(&config, Arc::new(SystemClock), &mut mistakes);
            config::prepare_alerting(&config, &mut mistakes);
            if options.connect && config.bus.engine == gateway_bus::Engine::Kafka && config.bus.mistakes().is_empty() {
                match config.bus.open(Arc::new(SystemClock)).await {
                    Ok(bus) => bus.close().await,
                    Err(error) => mistakes.push(mistake("bus.kafka", Failure::from(error).0)),
                }
            }
            if options.connect {
                mistakes.extend(config.store.check_connectivity().await);
                if let Some(service) = operating_data
                    && let Err(error) = service.check().await
                {
                    mistakes.push(mistake("operating_data.base_url", Failure::from(error).0));
                }
                for (at, (id, connector)) in channels.iter().enumerate() {
                    if let Err(error) = connector.check_connectivity().await {
                        mistakes.push(mistake(
                            format!("channel[{at}].base_url"),
                            format!("{id}: {}", Failure::from(error).0),
                        ));
                    }
                }
            }
        }
    }
    mistakes.sort_by(|a, b| a.key.cmp(&b.key));
    tell(&mistakes, options.json);
    Ok(if mistakes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(mistakes: &[ConfigMistake], as_json: bool) {
    if as_json {
        let list: Vec<_> = mistakes.iter().map(|mistake| json!({ "key": mistake.key, "text": mistake.text })).collect();
        say(format_args!("{}", json!({ "valid": mistakes.is_empty(), "mistakes": list })));
    } else if mistakes.is_empty() {
        say("the configuration is valid 配置有效");
    } else {
        for mistake in mistakes {
            say(mistake);
        }
    }
}

/// Brings the store's schema up to date.
///
/// # Errors
/// When a gateway runs there, or the store can't be written.
pub async fn migrate(installation: InstallationOptions) -> Result<ExitCode, Failure> {
    let config = config::load(&installation.dir, installation.config_file().as_deref())
        .map_err(|mistakes| Failure(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    std::fs::create_dir_all(&installation.dir)?;
    let Some(_lock) = crate::lock::DirectoryLock::take(&installation.dir)? else {
        return Err(said::runs_here());
    };
    let applied = config.store.migrate().await?;
    for name in applied {
        say(format_args!("applied 已执行: {name}"));
    }
    say("the store's schema is up to date 数据库结构已是最新");
    Ok(ExitCode::SUCCESS)
}
