//! The order of long lists, kept for the pages that follow.
//!
//! A table has no order of names, and to sort a million takes as long as a thousand pages. What a
//! page sorted is kept for a while and follows the table at the cost of what changed, so that each
//! further page costs what is on it.
//! Invariants: an order is that of the very table that a page tells of; a long list is never sorted
//! on the thread that answers; at most [`MOST`] orders are kept, none of them longer than twice
//! [`KEPT`] behind its last page; one task forgets them while there are any.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;
use tokio::{sync::Mutex, task::spawn_blocking, time::sleep};

use super::problem::Refusal;
use crate::route::{AppName, RouteKey, Table};

/// A list that is no longer is sorted for each page.
const SHORT: usize = 1000;
/// How many orders of a kind are kept.
const MOST: usize = 4;
/// For how long one is kept that nobody asks for.
const KEPT: Duration = Duration::from_secs(60);

/// What stands in a list: of an app, or where that is empty of no app.
pub(super) trait Listed: Sized + Ord + Send + 'static {
    /// How many a table has.
    fn count(table: &Table, app: &str) -> usize;
    /// Calls `visit(item, is_now)` for all that only one of two tables has, and few others, which
    /// come once of each.
    fn changed_since(table: &Table, before: &Table, app: &str, visit: impl FnMut(Self, bool));
}

impl Listed for AppName {
    fn count(table: &Table, _: &str) -> usize {
        table.counts().apps
    }

    fn changed_since(table: &Table, before: &Table, _: &str, mut visit: impl FnMut(Self, bool)) {
        table.apps().changed_since(before.apps(), |_, before, now| {
            let (before, now) = (before.map(|app| &app.name), now.map(|app| &app.name));
            if before != now {
                before.into_iter().for_each(|name| visit(name.clone(), false));
                now.into_iter().for_each(|name| visit(name.clone(), true));
            }
        });
    }
}

impl Listed for RouteKey {
    fn count(table: &Table, app: &str) -> usize {
        table.count_routes(app)
    }

    fn changed_since(table: &Table, before: &Table, app: &str, visit: impl FnMut(Self, bool)) {
        table.routes_changed_since(before, app, visit);
    }
}

/// The orders that are kept, the one asked for last at the end.
#[derive(Debug)]
pub(super) struct Orders<T>(Arc<Mutex<Vec<Order<T>>>>);

/// A list, sorted, as of a table.
#[derive(Debug)]
struct Order<T> {
    app: String,
    table: Table,
    items: BTreeSet<T>,
    used: Instant,
}

impl<T> Default for Orders<T> {
    fn default() -> Self {
        Orders(Arc::default())
    }
}

impl<T: Listed> Orders<T> {
    /// Takes what is wanted out of a list of a table.
    pub(super) async fn with<R: Send + 'static>(
        &self,
        app: &str,
        table: Table,
        take: impl FnOnce(&BTreeSet<T>) -> R + Send + 'static,
    ) -> Result<R, Refusal> {
        let mut fresh = Order::new(app);
        if T::count(&table, app) <= SHORT {
            fresh.follow(table);
            return Ok(take(&fresh.items));
        }
        let mut orders = self.0.clone().lock_owned().await;
        let taken = spawn_blocking(move || {
            let is_first = orders.is_empty();
            let kept = orders.iter().position(|order| order.app == fresh.app);
            let mut order = kept.map_or(fresh, |at| orders.remove(at));
            if orders.len() == MOST {
                orders.remove(0);
            }
            order.follow(table);
            let taken = take(&order.items);
            orders.push(order);
            (taken, is_first)
        });
        let internal = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "no list was made");
        let (taken, is_first) = taken.await.map_err(internal)?;
        if is_first {
            tokio::spawn(forget(self.0.clone(), KEPT));
        }
        Ok(taken)
    }
}

/// Forgets what nobody asked for so long, until nothing is kept.
async fn forget<T: Listed>(orders: Arc<Mutex<Vec<Order<T>>>>, kept: Duration) {
    loop {
        sleep(kept).await;
        let mut orders = orders.clone().lock_owned().await;
        // A large one takes a while to be freed.
        let forgotten = spawn_blocking(move || {
            orders.retain(|order| order.used.elapsed() < kept);
            orders.is_empty()
        });
        if forgotten.await.unwrap_or(true) {
            return;
        }
    }
}

impl<T: Listed> Order<T> {
    /// Of the empty table.
    fn new(app: &str) -> Order<T> {
        let (table, items) = Default::default();
        Order { app: app.to_owned(), table, items, used: Instant::now() }
    }

    /// From now on it is that of this table.
    fn follow(&mut self, table: Table) {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        T::changed_since(&table, &self.table, &self.app, |item, is_now| {
            (if is_now { &mut come } else { &mut gone }).push(item);
        });
        for item in gone {
            self.items.remove(&item);
        }
        if self.items.is_empty() {
            // Sorted at once, and not one by one.
            self.items = come.into_iter().collect();
        } else {
            self.items.extend(come);
        }
        (self.table, self.used) = (table, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{AppSettings, Change, HostPattern, PathPrefix, RouteSettings};

    fn app(name: &str) -> AppName {
        AppName::parse(name).unwrap()
    }

    fn made(apps: usize) -> Table {
        let mut table = Table::new(3);
        for n in 0..apps {
            put(&mut table, &format!("app-{n}"));
        }
        table
    }

    fn put(table: &mut Table, name: &str) {
        table.apply(&Change::PutApp(app(name), AppSettings::default())).unwrap();
    }

    fn names(table: &Table) -> Vec<AppName> {
        let mut names: Vec<_> = table.apps().iter().map(|(_, app)| app.name.clone()).collect();
        names.sort();
        names
    }

    fn route(host: &str) -> Change {
        let key = RouteKey { host: HostPattern::parse(host).unwrap(), path: PathPrefix::ROOT };
        Change::PutRoute(key, app("app-0"), RouteSettings::default())
    }

    async fn listed<T: Listed + Clone>(orders: &Orders<T>, of: &str, table: &Table) -> Vec<T> {
        orders.with(of, table.clone(), |items| items.iter().cloned().collect()).await.unwrap()
    }

    #[tokio::test]
    async fn a_list_follows_its_table_both_ways() {
        for length in [SHORT, SHORT + 1, 3 * SHORT] {
            let orders = Orders::<AppName>::default();
            let before = made(length);
            let mut now = before.clone();
            now.apply(&Change::DeleteApp(app("app-7"))).unwrap();
            put(&mut now, "app-7");
            now.apply(&Change::DeleteApp(app("app-8"))).unwrap();
            put(&mut now, "app-88888");
            for table in [&before, &now, &before] {
                assert_eq!(listed(&orders, "", table).await, names(table));
            }
            assert_eq!(orders.0.lock().await.len(), usize::from(length > SHORT));
        }
    }

    #[tokio::test]
    async fn the_routes_of_an_app_are_its_own() {
        let (orders, mut table) = (Orders::<RouteKey>::default(), made(2));
        for n in 0..=SHORT {
            table.apply(&route(&format!("h{n}.test"))).unwrap();
        }
        let before = table.clone();
        assert_eq!(listed(&orders, "app-0", &table).await, table.routes_of("app-0"));
        // Another's, and one that was another's.
        let Change::PutRoute(key, ..) = route("h9.test") else { unreachable!() };
        table.apply(&Change::DeleteRoute(key.clone(), app("app-0"))).unwrap();
        table.apply(&Change::PutRoute(key, app("app-1"), RouteSettings::default())).unwrap();
        table.apply(&route("new.test")).unwrap();
        assert_eq!(listed(&orders, "app-0", &table).await, table.routes_of("app-0"));
        assert_eq!(listed(&orders, "app-0", &before).await, before.routes_of("app-0"));
        table.apply(&Change::DeleteApp(app("app-0"))).unwrap();
        put(&mut table, "app-0");
        assert_eq!(listed(&orders, "app-0", &table).await, []);
    }

    #[tokio::test]
    async fn few_orders_are_kept_and_none_for_long() {
        let (orders, table) = (Orders::<AppName>::default(), made(SHORT + 1));
        // All are lists of apps: what they are asked for as makes no difference.
        for n in 0..2 * MOST {
            listed(&orders, &n.to_string(), &table).await;
        }
        let kept: Vec<String> = orders.0.lock().await.iter().map(|o| o.app.clone()).collect();
        assert_eq!(kept, ["4", "5", "6", "7"]);
        forget(orders.0.clone(), Duration::from_millis(1)).await;
        assert!(orders.0.lock().await.is_empty());
    }
}
