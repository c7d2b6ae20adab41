//! What the bureau may do when.

use gateway_model::{
    CommandState, DeliveryState, Operation, OrderState, Refusal, check_command, command_id, state_after,
};

/// The whole table: every operation in every state.
#[test]
fn each_operation_is_possible_in_its_states_only() {
    for state in OrderState::ALL {
        for operation in Operation::COMMANDS.into_iter().chain(Operation::REQUESTS) {
            let possible = match operation {
                Operation::Sign => state == OrderState::Dispatched,
                Operation::Reply => [OrderState::Signed, OrderState::Replied].contains(&state),
                Operation::Refuse => [OrderState::Dispatched, OrderState::Signed].contains(&state),
                Operation::Complete => state == OrderState::Replied,
                Operation::Extend | Operation::Assign => [OrderState::Dispatched, OrderState::Signed].contains(&state),
                Operation::Appeal => {
                    (OrderState::Signed..=OrderState::Archived).contains(&state) && state != OrderState::ReturnRequested
                }
                Operation::Forward => unreachable!("no command"),
            };
            let verdict = check_command(Some(state), 2, operation, 2);
            assert_eq!(verdict.is_ok(), possible, "{operation} in {state}");
            if let Err(refusal) = verdict {
                let sentence = refusal.to_string();
                assert!(sentence.contains(state.as_str()) && sentence.contains(operation.as_str()), "{sentence}");
            }
        }
    }
}

#[test]
fn an_earlier_round_may_be_appealed_against_and_a_later_one_not() {
    for state in OrderState::ALL {
        assert!(check_command(Some(state), 2, Operation::Appeal, 1).is_ok(), "{state}");
        let later = check_command(Some(state), 1, Operation::Appeal, 2);
        assert_eq!(later, Err(Refusal::Round { current: 1, asked: 2 }));
    }
    assert!(check_command(Some(OrderState::Signed), 2, Operation::Extend, 1).is_err());
}

#[test]
fn another_round_and_an_order_without_state_are_refused() {
    let signed = Some(OrderState::Signed);
    for asked in [0, 2] {
        let refusal = check_command(signed, 1, Operation::Reply, asked);
        assert_eq!(refusal, Err(Refusal::Round { current: 1, asked }));
    }
    assert_eq!(check_command(None, 0, Operation::Sign, 0), Err(Refusal::Unknown));
    assert_eq!(check_command(signed, 0, Operation::Forward, 0), Err(Refusal::NoCommand));
}

/// What was done leads to where the next thing can be done.
#[test]
fn the_main_line_can_be_walked() {
    let mut state = OrderState::Dispatched;
    for operation in [Operation::Sign, Operation::Reply, Operation::Reply, Operation::Complete] {
        check_command(Some(state), 0, operation, 0).unwrap();
        let next = state_after(operation).unwrap();
        assert!(next >= state, "the desk's own step is never behind");
        state = next;
    }
    assert_eq!(state, OrderState::Completed);
}

#[test]
fn a_command_is_known_by_its_sender_and_key() {
    assert_eq!(command_id("desk", "k1"), command_id("desk", "k1"));
    assert_ne!(command_id("desk", "k1"), command_id("desk", "k2"));
    assert_ne!(command_id("desk", "k1"), command_id("admin", "k1"));
    assert_ne!(command_id("a", "bc"), command_id("ab", "c"), "the border between the two counts");
}

#[test]
fn words_come_back_from_their_names() {
    for word in DeliveryState::ALL {
        assert_eq!(word.as_str().parse(), Ok(*word));
        assert_eq!(serde_json::to_string(word).unwrap(), format!("\"{word}\""));
    }
    let in_flight: Vec<_> = DeliveryState::ALL.iter().map(|state| state.is_in_flight()).collect();
    assert_eq!(in_flight, [[true; 5], [false; 5]].concat());
    assert!("done".parse::<CommandState>().is_err());
    assert!("Accepted".parse::<OrderState>().is_err());
}
