//! Which part gets what: slots and doors instead of addresses, so that nobody keeps a dead one.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use actix::{Actor, Arbiter, ArbiterHandle};
use serde_json::json;

use super::error::StartError;
use super::ground::Ground;
use crate::amqp::consumer::{self, AmqpConsumer};
use crate::amqp::queue::Queue;
use crate::config::Config;
use crate::http::clock::gregorian;
use crate::http::state::{ActorProbe, State};
use crate::kazoo::bindings::Binding;
use crate::kazoo::table::exchanges;
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::routing::bindings::Bindings;
use crate::routing::calls::Calls;
use crate::routing::channels::Channels;
use crate::routing::commands::Commands;
use crate::routing::conferences::Conferences;
use crate::routing::demand::Demand;
use crate::routing::history;
use crate::routing::registry::{self, Bus, Registry};
use crate::store::Loaded;
use crate::supervise::children::Children;
use crate::supervise::{Door, Slot};
use crate::webhook::allow::AllowList;
use crate::webhook::client::SenderSettings;
use crate::webhook::connect::Reach;
use crate::webhook::context::HookContext;
use crate::webhook::resolve::Resolver;
use crate::webhook::tls::client_config;
use crate::websocket::dialog;
use crate::websocket::reception::Desk;
use crate::websocket::roster::Roster;
use crate::websocket::sockets::Sockets;
use crate::websocket::upgrade::Lobby;

/// How much of a response's head an attempt keeps.
const RESPONSE_HEAD_BYTES_MAX: usize = 16 << 10;

pub struct Wiring<'a> {
    pub config: &'a Config,
    pub ground: &'a Ground,
    pub metrics: Arc<Metrics>,
    pub readiness: Arc<Readiness>,
    pub registry: Slot<Registry>,
    pub consumer: Slot<AmqpConsumer>,
    pub live_consumer: Slot<AmqpConsumer>,
    bindings: Arc<Bindings>,
    live_bindings: Arc<Bindings>,
    allow: Arc<AllowList>,
    roster: Arc<Roster>,
}

impl<'a> Wiring<'a> {
    pub fn new(config: &'a Config, ground: &'a Ground, loaded: &Loaded) -> Result<Self, StartError> {
        let bindings = Bindings::default();
        bindings.found_on_disk(known_bindings(loaded));
        let readiness = Readiness::default();
        readiness.store_open.store(true, Ordering::Relaxed);
        for queue in [&readiness.webhook_queue, &readiness.live_queue] {
            queue.consuming.store(!config.has_broker(), Ordering::Relaxed);
        }
        // Whoever comes back within the reach of the history finds that nothing was missed.
        let unbind_delay = Duration::from_millis(config.amqp.unbind_delay_ms.max(config.websockets.history_age_ms));
        Ok(Self {
            config,
            ground,
            metrics: Arc::default(),
            readiness: Arc::new(readiness),
            registry: Slot::default(),
            consumer: Slot::default(),
            live_consumer: Slot::default(),
            bindings: Arc::new(bindings),
            live_bindings: Arc::new(Bindings::with_delay(unbind_delay)),
            allow: Arc::new(AllowList::parse(&config.webhooks.allow_hosts)?),
            roster: Arc::default(),
        })
    }

    pub fn registry_parts(&self) -> Result<registry::Parts, StartError> {
        let webhooks = &self.config.webhooks;
        Ok(registry::Parts {
            webhooks: webhooks.clone(),
            bind_timeout_ms: self.config.amqp.bind_timeout_ms,
            node_name: self.config.node.name.clone(),
            store: self.ground.store.clone(),
            auth: self.ground.auth.clone(),
            metrics: Arc::clone(&self.metrics),
            hooks: Arc::new(self.hook_context()?),
            bindings: Arc::clone(&self.bindings),
            bus: self.bus(),
            live: Demand::new(
                Arc::clone(&self.live_bindings),
                self.config.has_broker().then(|| self.live_consumer.door()),
                Duration::from_millis(self.config.amqp.bind_timeout_ms),
            ),
            track_channels: self.config.channels.track,
            channels: Arc::new(Mutex::new(Channels::new(
                self.config.channels.max,
                self.config.channels.hours * 3_600_000,
            ))),
            roster: Arc::clone(&self.roster),
            history: history::Limits {
                events_max: self.config.websockets.history_events_max,
                bytes_max: self.config.websockets.history_bytes_max,
                age_ms: self.config.websockets.history_age_ms,
            },
            histories_max: self.config.websockets.history_accounts_max,
            arbiters: arbiters(self.config.webhooks.threads),
            slot: self.registry.clone(),
            children: Children::default(),
            calls: Arc::new(Mutex::new(Calls::new(webhooks.calls_max, webhooks.calls_hours * 3_600_000))),
            conferences: Arc::new(Mutex::new(Conferences::new(webhooks.calls_max, webhooks.calls_hours * 3_600_000))),
        })
    }

    /// One for each of our queues; none without a broker.
    pub fn consumers(&self) -> Vec<consumer::Parts> {
        if !self.config.has_broker() {
            return Vec::new();
        }
        let of_hooks = consumer::Parts {
            config: self.config.amqp.clone(),
            queue: Queue::of_hooks(&self.config.amqp),
            node_name: self.config.node.name.clone(),
            bindings: Arc::clone(&self.bindings),
            store: Some(self.ground.store.clone()),
            ingest: self.registry.door(),
            gap: Door::walled_up(),
            counters: self.metrics.webhook_queue.clone(),
            readiness: Arc::clone(&self.readiness.webhook_queue),
            slot: self.consumer.clone(),
            poison: Default::default(),
            heard: Default::default(),
        };
        let live = consumer::Parts {
            queue: Queue::live(&self.config.amqp),
            bindings: Arc::clone(&self.live_bindings),
            store: None,
            gap: self.registry.door(),
            counters: self.metrics.live_queue.clone(),
            readiness: Arc::clone(&self.readiness.live_queue),
            slot: self.live_consumer.clone(),
            poison: Default::default(),
            heard: Default::default(),
            ..of_hooks.clone()
        };
        vec![of_hooks, live]
    }

    fn commands(&self) -> Commands {
        Commands {
            find: self.registry.door(),
            publish: self.config.has_broker().then(|| self.live_consumer.door()),
            node: self.config.node.name.clone(),
            metrics: Arc::clone(&self.metrics),
        }
    }

    /// Behind both ports for sockets. To be called once, on the runtime that looks after them.
    pub fn lobby(&self) -> Arc<Lobby<Desk>> {
        let shared = dialog::Shared {
            auth: self.ground.auth.clone(),
            roster: Arc::clone(&self.roster),
            metrics: Arc::clone(&self.metrics),
            subscribe: self.registry.door(),
            unsubscribe: self.registry.door(),
            leave: self.registry.door(),
            commands: self.commands(),
            max_subscriptions: self.config.websockets.max_subscriptions,
            token_grace: Duration::from_millis(self.config.websockets.token_grace_ms),
        };
        let sockets = Sockets::new(self.config.websockets.clone(), Arc::clone(&self.metrics));
        Arc::new(Lobby { reception: Desk { shared: Arc::new(shared) }, sockets })
    }

    pub fn http_state(&self, lobby: Arc<Lobby<Desk>>) -> State {
        State {
            config: self.config.clone(),
            allow: Arc::clone(&self.allow),
            auth: Arc::new(self.ground.auth.clone()),
            store: self.ground.store.clone(),
            registry: self.registry.clone(),
            metrics: Arc::clone(&self.metrics),
            readiness: Arc::clone(&self.readiness),
            system_account: self.ground.system_account,
            actors: self.probes(),
            account_writes: tokio::sync::Mutex::default(),
            roster: Arc::clone(&self.roster),
            lobby,
            commands: self.commands(),
        }
    }

    /// Of the actors that run; without a broker nothing consumes.
    fn probes(&self) -> Vec<ActorProbe> {
        let mut probes = vec![probe("Registry", &self.registry)];
        for parts in self.consumers() {
            let mut probe = probe("AmqpConsumer", &parts.slot);
            probe.queue = Some(parts.queue.role());
            probes.push(probe);
        }
        probes
    }

    fn hook_context(&self) -> Result<HookContext, StartError> {
        Ok(HookContext {
            config: self.config.webhooks.clone(),
            sender: Arc::new(self.sender_settings()?),
            success: self.config.webhooks.success()?,
            store: self.ground.store.clone(),
            metrics: Arc::clone(&self.metrics),
            cluster_id: self.ground.cluster_id.clone(),
            disable: self.registry.door(),
            idle: self.registry.door(),
            poison: Default::default(),
        })
    }

    fn sender_settings(&self) -> Result<SenderSettings, StartError> {
        let webhooks = &self.config.webhooks;
        let resolver = Resolver::new(&webhooks.dns_servers, Duration::from_millis(webhooks.dns_timeout_ms))?;
        let ca_file = Some(webhooks.ca_file.as_path()).filter(|path| !path.as_os_str().is_empty());
        Ok(SenderSettings {
            reach: Arc::new(Reach { allow: AllowList::clone(&self.allow), resolver }),
            tls: client_config(ca_file)?,
            connect_timeout_ms: webhooks.connect_timeout_ms,
            request_timeout_ms: webhooks.request_timeout_ms,
            response_bytes_max: webhooks.response_bytes_max,
            response_head_bytes_max: RESPONSE_HEAD_BYTES_MAX,
            url_bytes_max: webhooks.uri_bytes_max,
            connections_max: webhooks.connections_per_host_max,
            connections_first: webhooks.connections_per_host_first,
            idle: Duration::from_millis(webhooks.idle_ms),
        })
    }

    /// Without a broker nobody is behind the doors to it.
    fn bus(&self) -> Bus {
        let ingest = self.registry.door();
        if self.config.has_broker() {
            Bus { reconcile: self.consumer.door(), publish: self.consumer.door(), ingest }
        } else {
            Bus { reconcile: Door::walled_up(), publish: Door::walled_up(), ingest }
        }
    }
}

/// Exchanges that this version does not know are left alone.
fn known_bindings(loaded: &Loaded) -> Vec<Binding> {
    let known = |(exchange, routing_key): &(String, String)| {
        let exchange = exchanges().iter().find(|known| *known == exchange)?;
        Some(Binding { exchange, routing_key: routing_key.clone() })
    };
    loaded.bindings.iter().filter_map(known).collect()
}

/// One thread means the caller's own: hooks then share it with the Registry, and no message crosses threads.
fn arbiters(threads: usize) -> Vec<ArbiterHandle> {
    // They end with the process.
    static MORE: OnceLock<Vec<Arbiter>> = OnceLock::new();
    if threads <= 1 {
        return vec![Arbiter::current()];
    }
    MORE.get_or_init(|| (0..threads).map(|_| Arbiter::new()).collect()).iter().map(Arbiter::handle).collect()
}

fn probe<A: Actor>(kind: &'static str, slot: &Slot<A>) -> ActorProbe {
    let slot = slot.clone();
    ActorProbe {
        kind,
        queue: None,
        read: Box::new(move || {
            json!({
                "alive": slot.is_alive(),
                "started_at": gregorian(slot.started_ms()),
                "restarts": slot.restarts(),
                "panics": slot.panics(),
                "handled": slot.mailbox().handled_total(),
                "mailbox_depth": slot.mailbox().depth(),
            })
        }),
    }
}
