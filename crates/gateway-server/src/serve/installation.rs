//! An opened installation: engines, channels, keys and tokens of one directory.

use crate::config::{self, ConfigMistake, GatewayConfig};
use crate::role::{Roles, node_name};
use crate::store::StoreEngine;
use crate::{Failure, registry, secrets};
use gateway_alert::node::{NodeSelf, SpoolReading};
use gateway_api::{
    ApiState, AttachmentDesk, ChannelInfo, InquiryDesk, NotifierInfo, Role, StatusSource, Token, Tokens, Waker,
};
use gateway_bus::spool::{SpoolDepth, SpooledBus};
use gateway_bus::{Bus, BusOptions, TopicName, TopicSpec};
use gateway_connector::Connector;
use gateway_connector::wire::OperatingData;
use gateway_intake::PushConflicts;
use gateway_model::{AddressKey, ChannelId, Clock, Field, PersonKey, Timestamp};
use gateway_pipeline::ContentKey;
use gateway_store::{AttachmentDir, NodeSpool, Store};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// Everything that the tasks and the API are made of.
pub struct Installation {
    dir: PathBuf,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The bus, for all who append what can be asked for again, and for all who read.
    pub bus: Arc<dyn Bus>,
    /// The bus, for pushes and commands, which come once.
    pub intake_bus: Arc<dyn Bus>,
    /// What bridges an outage of the bus, where it is elsewhere.
    pub spool: Option<Arc<SpooledBus>>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The channels.
    pub connectors: Vec<(ChannelId, Arc<dyn Connector>)>,
    /// The channel of commands.
    pub desk: ChannelId,
    /// Looks for what is wrong, and tells.
    pub alerting: gateway_alert::Alerting,
    /// Keys the content hashes.
    pub content_key: ContentKey,
    /// Matches persons.
    pub person_key: PersonKey,
    /// Makes and knows the addresses of attachments.
    pub address_key: AddressKey,
    /// The service that is asked of cars and drivers.
    pub operating_data: Option<Arc<OperatingData>>,
    /// Where the bytes of attachments are.
    pub attachments: AttachmentDir,
    /// Names this process among those that may hold a lease.
    pub holder: String,
    /// What this process is called among others, the same after every start.
    pub node: String,
    /// When it was opened.
    pub started_at: Timestamp,
    /// The parts of the work that this process does.
    pub roles: Roles,
    /// Whether other processes can share the store.
    pub shared: bool,
    /// The channels with a front-end box.
    boxes: BTreeSet<ChannelId>,
}

impl Installation {
    /// Opens it. The caller holds the directory's lock.
    ///
    /// # Errors
    /// Mistakes in channels, an engine that can't be opened, or one that the installation has left.
    pub async fn open(
        dir: &Path,
        config: &GatewayConfig,
        clock: Arc<dyn Clock>,
        roles: Roles,
    ) -> Result<Self, Failure> {
        crate::moveup::refuse_what_was_left(dir, config)?;
        roles.must_suit(config)?;
        let mut mistakes = Vec::new();
        let connectors = registry::connect_all(config, clock.clone(), &mut mistakes);
        let operating_data = registry::operating_data(config, clock.clone(), &mut mistakes);
        let alerting = config::prepare_alerting(config, &mut mistakes);
        let (true, Some(alerting)) = (mistakes.is_empty(), alerting) else {
            let lines: Vec<String> = mistakes.iter().map(ConfigMistake::to_string).collect();
            return Err(Failure(format!("channels or alerts are not configured right:\n  {}", lines.join("\n  "))));
        };
        let node = node_name(dir, &config.node.name)?;
        let opened = bus_options(config, &node).open_spooled(Arc::new(PushConflicts), clock.clone()).await?;
        let store = config.store.open().await?;
        let desk = config.api.desk()?;
        let key = secrets::key_bytes(&dir.join("secrets/content.key"))?;
        let (content_key, person_key) = (ContentKey::new(&key), PersonKey::of_installation(&key));
        let address_key = AddressKey::of_installation(&key);
        // A new holder with every start: what a killed process held stays its own until the lease runs out.
        let holder = format!("{}-{:08x}", std::process::id(), rand::random::<u32>());
        let started_at = clock.now();
        let boxed = config.channels.iter().filter(|channel| channel.files.is_some());
        let installation = Self {
            dir: dir.to_owned(),
            clock,
            bus: opened.bus,
            intake_bus: opened.intake,
            spool: opened.spool,
            store,
            connectors,
            desk,
            alerting,
            content_key,
            person_key,
            address_key,
            operating_data,
            attachments: attachment_dir(config)?,
            holder,
            node,
            started_at,
            roles,
            shared: config.store.engine == StoreEngine::Postgres,
            boxes: boxed.filter_map(|channel| ChannelId::new(channel.id.clone()).ok()).collect(),
        };
        installation.must_have_the_key_of_the_others().await?;
        installation.ensure_topics(config).await?;
        Ok(installation)
    }

    /// With another key, what two processes hold would never be equal, and every repeated record would be a change.
    async fn must_have_the_key_of_the_others(&self) -> Result<(), Failure> {
        let nodes = if self.shared { self.store.nodes().await? } else { Vec::new() };
        let ours = self.content_key.print();
        let Some(other) = nodes.iter().find(|node| node.key_print != ours) else { return Ok(()) };
        let (name, file) = (&other.name, self.dir.join("secrets/content.key"));
        Err(Failure::told(
            format!("{} 与节点 {name} 所用的密钥不同：请从该节点复制 secrets/content.key 后再启动", file.display()),
            format!(
                "{} is not the key that the node {name} works with: copy secrets/content.key from there, and start again",
                file.display()
            ),
        ))
    }

    /// What this process tells of itself.
    #[must_use]
    pub fn node_self(&self) -> NodeSelf {
        NodeSelf {
            name: self.node.clone(),
            holder: self.holder.clone(),
            roles: self.roles.words(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            key_print: self.content_key.print(),
            started_at: self.started_at,
            spool: self.spool_reading(),
        }
    }

    /// Says that this process ends, so that others take its work over at once and do not miss it.
    pub async fn leave(&self) {
        let now = self.clock.now();
        let left = if self.shared {
            self.node_self().end(&*self.store, now).await
        } else {
            self.store.release_leases(&self.holder, now).await.map(drop)
        };
        if let Err(error) = left {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the end could not be told; the leases run out by themselves"
            );
        }
    }

    /// Tells what the spool holds of each channel; nothing where there is no spool.
    #[must_use]
    pub fn spool_reading(&self) -> SpoolReading {
        let (spool, channels) = (self.spool.clone(), self.channel_ids());
        Arc::new(move || {
            let depths = spool.iter().flat_map(|spool| spool.depths()).filter(|depth| depth.messages > 0);
            let of_channel = |depth: SpoolDepth| {
                let channel = channels.iter().find(|channel| TopicName::raw(channel) == depth.topic)?.clone();
                Some(NodeSpool { channel, messages: depth.messages, oldest_at: depth.oldest_at })
            };
            depths.filter_map(of_channel).collect()
        })
    }

    async fn ensure_topics(&self, config: &GatewayConfig) -> Result<(), Failure> {
        let topics = &config.topics;
        for channel in self.channel_ids() {
            for name in [TopicName::raw(&channel), TopicName::raw_backfill(&channel), TopicName::outbound(&channel)] {
                let retention = DAY * topics.retention_days;
                self.bus.ensure_topic(&TopicSpec { name, partitions: topics.partitions, retention }).await?;
            }
        }
        Ok(())
    }

    /// All channels, the desk last.
    #[must_use]
    pub fn channel_ids(&self) -> Vec<ChannelId> {
        self.connectors.iter().map(|(id, _)| id.clone()).chain([self.desk.clone()]).collect()
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the API has to know of the channels.
    #[must_use]
    pub fn channel_infos(&self) -> Vec<ChannelInfo> {
        let connected = self.connectors.iter().map(|(id, connector)| ChannelInfo {
            channel: id.clone(),
            connector: connector.descriptor().kind.to_owned(),
            datasets: connector.descriptor().datasets.clone(),
            source: connector.source().is_some(),
            receiver: connector.receiver().is_some(),
            sink: connector.sink().is_some(),
            manifest: connector.manifest_source().is_some(),
            files: connector.files().is_some() && self.boxes.contains(id),
        });
        let desk = ChannelInfo {
            channel: self.desk.clone(),
            connector: "desk".into(),
            datasets: Vec::new(),
            source: false,
            receiver: false,
            sink: false,
            manifest: false,
            files: false,
        };
        connected.chain([desk]).collect()
    }

    /// Who can be told of incidents, the watcher of the heartbeat among them.
    fn notifier_infos(&self) -> Arc<[NotifierInfo]> {
        let of = |(id, kind): (&str, &str)| NotifierInfo { id: id.to_owned(), kind: kind.to_owned() };
        let heartbeat = self.alerting.has_heartbeat().then_some((gateway_alert::HEARTBEAT, "heartbeat"));
        self.alerting.notifiers().into_iter().chain(heartbeat).map(of).collect()
    }

    /// What the API answers from.
    ///
    /// # Errors
    /// When the tokens can neither be read nor made.
    pub fn api_state(
        &self,
        config: &GatewayConfig,
        status: Arc<dyn StatusSource>,
        waker: Arc<dyn Waker>,
        metrics: Arc<dyn Fn() -> String + Send + Sync>,
    ) -> Result<ApiState, Failure> {
        Ok(ApiState {
            store: self.store.clone(),
            bus: self.intake_bus.clone(),
            clock: self.clock.clone(),
            tokens: self.tokens()?,
            status,
            waker,
            channels: self.channel_infos().into(),
            incident_codes: incident_codes(),
            notifiers: self.notifier_infos(),
            desk: self.desk.clone(),
            person_key: self.person_key.clone(),
            attachments: self.attachments.clone(),
            metrics,
            config: Arc::new(config.api.clone()),
        })
    }

    /// Answers the front ends of channels that ask for the progress of their orders.
    pub fn inquiries(&self) -> Arc<InquiryDesk> {
        Arc::new(InquiryDesk::new(self.connectors.clone(), self.store.clone(), self.clock.clone()))
    }

    /// Gives files to destinations that the rules grant `pictures`.
    pub fn attachment_desk(&self, config: &GatewayConfig) -> AttachmentDesk {
        let granting = config.routes.iter().filter(|route| route.person_fields.contains(&Field::Pictures));
        AttachmentDesk {
            key: self.address_key.clone(),
            grants: granting.map(|route| (route.from.clone(), route.to.clone())).collect(),
            store: self.store.clone(),
            dir: self.attachments.clone(),
            clock: self.clock.clone(),
        }
    }

    /// The tokens, made at the first start.
    ///
    /// # Errors
    /// When their files can neither be read nor made.
    pub fn tokens(&self) -> Result<Tokens, Failure> {
        let roles = [("admin", Role::Admin), ("desk", Role::Desk), ("judge", Role::Judge)];
        let mut tokens = Vec::new();
        for (name, role) in roles {
            let text = secrets::read_or_create(&self.dir.join(format!("tokens/{name}.token")))?;
            tokens.push(Token { role, text });
        }
        Ok(Tokens::new(tokens)?)
    }
}

/// The directory of the bytes of attachments, without what killed processes left unfinished.
fn attachment_dir(config: &GatewayConfig) -> Result<AttachmentDir, Failure> {
    let dir = &config.attachments.dir;
    let opened = AttachmentDir::open(dir).and_then(|opened| opened.tidy().map(|()| opened));
    opened.map_err(|error| {
        Failure::told(
            format!("附件目录 {} 无法写入（{error}）：请检查 attachments.dir 及其权限", dir.display()),
            format!(
                "the attachment directory {} can't be written ({error}): see attachments.dir and its permissions",
                dir.display()
            ),
        )
    })
}

/// The bus's settings; where Kafka is not told what this process is called, it is told the node's name.
fn bus_options(config: &GatewayConfig, node: &str) -> BusOptions {
    let mut options = config.bus.clone();
    options.kafka.instance.get_or_insert_with(|| node.to_owned());
    options
}

/// Every code that an incident can have; a test notice is about none.
fn incident_codes() -> Arc<[&'static str]> {
    let codes = gateway_alert::texts::all().map(|text| text.code);
    codes.filter(|code| *code != gateway_alert::texts::TEST).collect()
}
