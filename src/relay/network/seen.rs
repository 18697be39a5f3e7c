//! Which of the kernel's messages say that the network is another one. Pure.
//!
//! It repeats itself: at each router advertisement for an address whose lifetime grew, and for a wireless link at each scan.

use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage as Message;
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use netlink_packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteType,
};

/// As much is remembered of a network as a laptop has; more of it counts as changed when it is said again.
const MOST: usize = 1024;

/// What the kernel has said of each part of the network, and whether it can be used; what was said last stands last.
#[derive(Debug, Default)]
pub(super) struct Seen(Vec<(Part, bool)>);

/// A part of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// By its index.
    Link(u32),
    /// By its link and itself.
    Address(u32, IpAddr),
    Route(Box<RouteMessage>),
}

impl Seen {
    /// True if `message` says something new, for which requests may have to go another way.
    pub(super) fn is_news(&mut self, message: &Message) -> bool {
        use Message::{DelAddress, DelLink, DelRoute, DelRule};
        use Message::{NewAddress, NewLink, NewRoute, NewRule};
        let said = match message {
            NewLink(link) | DelLink(link) => of_link(link),
            NewAddress(address) | DelAddress(address) => of_address(address),
            NewRoute(route) | DelRoute(route) => of_route(route),
            NewRule(_) | DelRule(_) => return true,
            _ => None,
        };
        let Some((part, usable)) = said else {
            return false;
        };
        let known = self.0.iter().position(|(known, _)| *known == part);
        // What is not usable changes nothing by being there.
        let was_usable = known.is_some_and(|place| self.0.remove(place).1);
        if matches!(message, DelLink(_) | DelAddress(_) | DelRoute(_)) {
            return true;
        }
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push((part, usable));
        usable != was_usable
    }
}

fn of_link(link: &LinkMessage) -> Option<(Part, bool)> {
    let header = &link.header;
    let up = header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp);
    let counts = !header.flags.contains(LinkFlags::Loopback);
    counts.then_some((Part::Link(header.index), up))
}

fn of_address(message: &AddressMessage) -> Option<(Part, bool)> {
    let addresses = message.attributes.iter();
    let addresses = addresses.filter_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some((false, *address)),
        // On a point-to-point link it is the peer's (rtnetlink(7)).
        AddressAttribute::Address(address) => Some((true, *address)),
        _ => None,
    });
    let (_, address) = addresses.min()?;
    let unusable = AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed;
    let usable = !message.header.flags.intersects(unusable);
    let counts = !address.is_loopback();
    counts.then_some((Part::Address(message.header.index, address), usable))
}

/// The route without what is only told of it: lifetimes, metrics, and whether its link is up.
fn of_route(route: &RouteMessage) -> Option<(Part, bool)> {
    /// Addresses of this machine (ip-route(8)).
    const LOCAL: u8 = 255;
    let RouteHeader {
        table, kind, flags, ..
    } = route.header;
    if table == LOCAL || kind == RouteType::Multicast || flags.contains(RouteFlags::Cloned) {
        return None;
    }
    let mut route = Box::new(route.clone());
    route.header.flags = RouteFlags::empty();
    route.attributes.retain(|attribute| {
        use RouteAttribute::{CacheInfo, Expires, Metrics};
        !matches!(attribute, CacheInfo(_) | Expires(_) | Metrics(_))
    });
    Some((Part::Route(route), true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_route::address::{AddressHeader, CacheInfo};
    use netlink_packet_route::link::LinkHeader;
    use netlink_packet_route::route::RouteAddress;

    fn link(flags: LinkFlags) -> LinkMessage {
        let header = LinkHeader {
            index: 2,
            flags,
            ..LinkHeader::default()
        };
        let mut link = LinkMessage::default();
        link.header = header;
        link
    }

    fn address(address: &str, flags: AddressHeaderFlags, lifetime: u32) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header = AddressHeader {
            index: 2,
            flags,
            ..AddressHeader::default()
        };
        let mut cache = CacheInfo::default();
        cache.ifa_valid = lifetime;
        message.attributes = vec![
            AddressAttribute::Address(address.parse().unwrap()),
            AddressAttribute::CacheInfo(cache),
        ];
        message
    }

    fn route(gateway: &str, table: u8) -> RouteMessage {
        let mut route = RouteMessage::default();
        route.header.table = table;
        route.header.kind = RouteType::Unicast;
        let gateway = RouteAddress::Inet(gateway.parse().unwrap());
        route.attributes = vec![RouteAttribute::Gateway(gateway)];
        route
    }

    /// What each of the messages is to one who hears them in turn.
    fn news(messages: &[Message]) -> Vec<bool> {
        let mut seen = Seen::default();
        let news = messages.iter().map(|message| seen.is_news(message));
        news.collect()
    }

    #[test]
    fn a_link_is_news_when_it_goes_up_or_down() {
        let up = LinkFlags::Up | LinkFlags::LowerUp;
        let [up, cable_out, scanned] =
            [up, LinkFlags::Up, up | LinkFlags::Running].map(|flags| Message::NewLink(link(flags)));
        let gone = Message::DelLink(link(LinkFlags::empty()));
        let told = [cable_out.clone(), up, scanned, cable_out, gone];
        assert_eq!(news(&told), [false, true, false, true, true]);
    }

    #[test]
    fn an_address_is_news_when_it_can_be_used_and_not_when_it_lives_on() {
        let usable = |lifetime| {
            Message::NewAddress(address(
                "2001:db8::1",
                AddressHeaderFlags::empty(),
                lifetime,
            ))
        };
        let tentative = AddressHeaderFlags::Tentative;
        let tentative = Message::NewAddress(address("2001:db8::1", tentative, 60));
        let gone = Message::DelAddress(address("2001:db8::1", AddressHeaderFlags::empty(), 0));
        let told = [tentative, usable(60), usable(90), gone, usable(60)];
        assert_eq!(news(&told), [false, true, false, true, true]);
    }

    #[test]
    fn a_route_is_news_when_it_comes_and_goes_and_not_when_it_lives_on() {
        let main = RouteHeader::RT_TABLE_MAIN;
        let mut refreshed = route("192.0.2.1", main);
        refreshed.attributes.push(RouteAttribute::Expires(60));
        let told = [
            Message::NewRoute(route("192.0.2.1", main)),
            Message::NewRoute(refreshed.clone()),
            Message::NewRoute(route("192.0.2.2", main)),
            Message::DelRoute(refreshed),
            Message::NewRoute(route("192.0.2.1", main)),
        ];
        assert_eq!(news(&told), [true, false, true, true, true]);
    }

    #[test]
    fn this_machines_own_are_no_news() {
        let none = AddressHeaderFlags::empty();
        let told = [
            Message::NewLink(link(
                LinkFlags::Up | LinkFlags::LowerUp | LinkFlags::Loopback,
            )),
            Message::NewAddress(address("127.0.0.1", none, 0)),
            Message::NewAddress(address("::1", none, 0)),
            Message::NewRoute(route("192.0.2.1", 255)),
        ];
        assert_eq!(news(&told), [false; 4]);
    }

    #[test]
    fn no_more_is_remembered_than_a_laptop_has() {
        let mut seen = Seen::default();
        for number in 0..2 * MOST {
            let [.., high, low] = number.to_be_bytes();
            let gateway = format!("192.0.{high}.{low}");
            assert!(seen.is_news(&Message::NewRoute(route(&gateway, 254))));
        }
        assert_eq!(seen.0.len(), MOST);
    }
}
