use super::*;

/// What it found.
async fn ended(mut lookup: AddressLookup) -> Found {
    let found = lookup.wait_for(Option::is_some).await;
    found.unwrap().clone().unwrap()
}

#[tokio::test]
async fn a_name_is_looked_up_again_after_a_while_and_in_doubt() {
    let addresses = Addresses::new("127.0.0.1:88".to_owned(), Permitted::Any, Reach::Always);
    let then = Instant::now();
    let is_new = async |after: Duration| {
        let before = lock(&addresses.state).lookup.clone();
        let (lookup, _) = addresses.lookup(then + after);
        assert!(ended(lookup.clone()).await.is_ok());
        before.is_none_or(|(before, _)| !before.same_channel(&lookup))
    };
    let almost = ADDRESSES_FRESH - Duration::from_millis(1);
    assert!(is_new(Duration::ZERO).await, "the first");
    assert!(!is_new(almost).await, "known");
    assert!(is_new(ADDRESSES_FRESH).await, "old");
    assert!(!is_new(ADDRESSES_FRESH).await, "known again");
    addresses.doubt();
    assert!(is_new(ADDRESSES_FRESH).await, "doubted");
    assert!(!is_new(ADDRESSES_FRESH + almost).await, "doubted once");
    addresses.forget();
    assert!(is_new(ADDRESSES_FRESH + almost).await, "forgotten");
}

#[tokio::test]
async fn a_look_up_that_hangs_is_joined_for_as_long_as_anybody_waits() {
    let addresses = Addresses::new("127.0.0.1:88".to_owned(), Permitted::Any, Reach::Always);
    let hanging: AddressLookup = watch::Sender::new(None).subscribe();
    let now = Instant::now();
    lock(&addresses.state).lookup = Some((hanging.clone(), now));
    let almost = LOOK_UP_TIMEOUT - Duration::from_millis(1);
    assert!(addresses.lookup(now + almost).0.same_channel(&hanging));
    assert!(
        !addresses
            .lookup(now + LOOK_UP_TIMEOUT)
            .0
            .same_channel(&hanging)
    );
    let mut state = lock(&addresses.state);
    state.lookup = Some((hanging.clone(), now));
    state.under_way = AT_ONCE;
    drop(state);
    assert!(
        addresses
            .lookup(now + LOOK_UP_TIMEOUT)
            .0
            .same_channel(&hanging),
        "enough"
    );
}

#[tokio::test]
async fn a_doubt_is_about_what_was_found_and_not_about_what_is_still_asked() {
    let addresses = Addresses::new("127.0.0.1:88".to_owned(), Permitted::Any, Reach::Always);
    let hanging: AddressLookup = watch::Sender::new(None).subscribe();
    lock(&addresses.state).lookup = Some((hanging, Instant::now()));
    addresses.doubt();
    assert!(!lock(&addresses.state).doubted);
}

#[tokio::test]
async fn what_was_found_when_all_had_given_up_is_known() {
    let addresses = Addresses::new("127.0.0.1:88".to_owned(), Permitted::Any, Reach::Always);
    drop(addresses.lookup(Instant::now()));
    let known = async {
        while lock(&addresses.state).known.is_none() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), known).await.unwrap();
    assert_eq!(lock(&addresses.state).under_way, 0);
}

#[tokio::test]
async fn on_another_network_a_look_up_begins_anew_and_what_is_known_still_serves() {
    let addresses = Addresses::new("127.0.0.1:88".to_owned(), Permitted::Any, Reach::Always);
    let now = Instant::now();
    let found = addresses.get().await.unwrap();
    let (before, _) = addresses.lookup(now);
    addresses.forget();
    let (after, known) = addresses.lookup(now);
    assert!(!before.same_channel(&after));
    assert_eq!(known.as_deref(), Some(&found[..]));
}

#[tokio::test]
async fn the_address_that_works_comes_first() {
    let addresses = Addresses::new(
        "kdc.example.com:88".to_owned(),
        Permitted::Any,
        Reach::Always,
    );
    let found = ["192.0.2.1:88", "[2001:db8::1]:88"].map(|address| address.parse().unwrap());
    let lookup = watch::Sender::new(Some(Ok(Arc::from(found)))).subscribe();
    {
        let mut state = lock(&addresses.state);
        state.lookup = Some((lookup, Instant::now()));
        state.known = Some(Arc::from(found));
    }
    assert_eq!(addresses.get().await.unwrap(), found);
    addresses.prefer("192.0.2.9".parse().unwrap());
    assert_eq!(addresses.get().await.unwrap(), found, "none of its own");
    addresses.prefer(found[1].ip());
    assert_eq!(addresses.get().await.unwrap(), [found[1], found[0]]);
}

#[tokio::test]
async fn a_failure_is_looked_up_again_and_one_that_is_under_way_is_not() {
    let refusing = Permitted::OtherHosts(Vec::new());
    let addresses = Addresses::new("127.0.0.1:88".to_owned(), refusing, Reach::Always);
    let now = Instant::now();
    let (first, _) = addresses.lookup(now);
    let almost = LOOK_UP_TIMEOUT - Duration::from_millis(1);
    let (copy, _) = addresses.lookup(now + almost);
    assert!(first.same_channel(&copy), "under way");
    let (kind, _) = ended(first).await.unwrap_err();
    assert_eq!(kind, io::ErrorKind::PermissionDenied);
    let (second, _) = addresses.lookup(now);
    assert!(!second.same_channel(&copy));
    addresses.forget();
    let (third, _) = addresses.lookup(now);
    assert!(
        !third.same_channel(&second),
        "it asks name servers of before"
    );
}
