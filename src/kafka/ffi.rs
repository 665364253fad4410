//! The requests about a consumer group's offsets that rdkafka has no binding for (KIP-496,
//! KIP-709). The only unsafe code of the crate: every pointer is made, used and destroyed here.
#![expect(unsafe_code, reason = "calls into librdkafka, which rdkafka does not wrap")]

use std::ffi::{CStr, CString};
use std::os::raw::c_char;
use std::ptr;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::bindings as native;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;

use crate::data::TopicPartition;

/// What is asked of the group's coordinator.
#[derive(Debug, Clone, Copy)]
pub(super) enum GroupRequest<'a> {
    /// The offsets of all partitions that the group has committed.
    List,
    /// Commits these offsets; the group must be empty.
    Alter(&'a TopicPartitionList),
    /// Forgets the offsets of these partitions; the group must not subscribe to their topics.
    Delete(&'a TopicPartitionList),
}

/// A partition, its offset, and what is wrong with it.
type Element = (TopicPartition, i64, native::rd_kafka_resp_err_t);

/// Blocks for at most `deadline`. Answers the group's partitions with their offsets.
pub(super) fn ask_group<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    request: GroupRequest<'_>,
    deadline: Duration,
) -> Result<Vec<(TopicPartition, i64)>, RDKafkaErrorCode> {
    let group = CString::new(group).map_err(|_| RDKafkaErrorCode::InvalidArgument)?;
    let millis = i32::try_from(deadline.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client outlives the call; the queue and the event are destroyed once, after their
    // last use; what the event holds is copied before.
    let elements = unsafe {
        let queue = native::rd_kafka_queue_new(client.native_ptr());
        send(client.native_ptr(), &group, request, queue, millis);
        let event = native::rd_kafka_queue_poll(queue, millis);
        let elements = if event.is_null() {
            Err(RDKafkaErrorCode::OperationTimedOut)
        } else {
            let elements = read(event, request);
            native::rd_kafka_event_destroy(event);
            elements
        };
        native::rd_kafka_queue_destroy(queue);
        elements?
    };
    elements
        .into_iter()
        .map(|(partition, offset, error)| checked(error).map(|()| (partition, offset)))
        .collect()
}

fn checked(error: native::rd_kafka_resp_err_t) -> Result<(), RDKafkaErrorCode> {
    match error {
        native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        error => Err(error.into()),
    }
}

/// # Safety
/// `client` and `queue` are alive.
unsafe fn send(
    client: *mut native::rd_kafka_t,
    group: &CStr,
    request: GroupRequest<'_>,
    queue: *mut native::rd_kafka_queue_t,
    millis: i32,
) {
    use native::rd_kafka_admin_op_t as op;
    let kind = match request {
        GroupRequest::List => op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS,
        GroupRequest::Alter(_) => op::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS,
        GroupRequest::Delete(_) => op::RD_KAFKA_ADMIN_OP_DELETECONSUMERGROUPOFFSETS,
    };
    // SAFETY: librdkafka copies options, group and partitions into its own operation before the call
    // returns, so that all of them are destroyed here.
    unsafe {
        let options = native::rd_kafka_AdminOptions_new(client, kind);
        // A request that is answered after nobody waits any more must not take effect: the same
        // deadline there. An invalid one leaves librdkafka's.
        let mut text: [c_char; 128] = [0; 128];
        native::rd_kafka_AdminOptions_set_request_timeout(
            options,
            millis,
            text.as_mut_ptr(),
            text.len(),
        );
        match request {
            GroupRequest::List => {
                let mut asked =
                    native::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), ptr::null());
                native::rd_kafka_ListConsumerGroupOffsets(client, &mut asked, 1, options, queue);
                native::rd_kafka_ListConsumerGroupOffsets_destroy(asked);
            }
            GroupRequest::Alter(list) => {
                let mut asked =
                    native::rd_kafka_AlterConsumerGroupOffsets_new(group.as_ptr(), list.ptr());
                native::rd_kafka_AlterConsumerGroupOffsets(client, &mut asked, 1, options, queue);
                native::rd_kafka_AlterConsumerGroupOffsets_destroy(asked);
            }
            GroupRequest::Delete(list) => {
                let mut asked =
                    native::rd_kafka_DeleteConsumerGroupOffsets_new(group.as_ptr(), list.ptr());
                native::rd_kafka_DeleteConsumerGroupOffsets(client, &mut asked, 1, options, queue);
                native::rd_kafka_DeleteConsumerGroupOffsets_destroy(asked);
            }
        }
        native::rd_kafka_AdminOptions_destroy(options);
    }
}

/// # Safety
/// `event` is alive and answers `request`.
unsafe fn read(
    event: *mut native::rd_kafka_event_t,
    request: GroupRequest<'_>,
) -> Result<Vec<Element>, RDKafkaErrorCode> {
    // SAFETY: groups, partitions and texts belong to the event and live as long; librdkafka gives
    // null where there is none, and the lengths of its arrays.
    unsafe {
        checked(native::rd_kafka_event_error(event))?;
        let mut count = 0;
        let groups = match request {
            GroupRequest::List => native::rd_kafka_ListConsumerGroupOffsets_result_groups(
                native::rd_kafka_event_ListConsumerGroupOffsets_result(event),
                &mut count,
            ),
            GroupRequest::Alter(_) => native::rd_kafka_AlterConsumerGroupOffsets_result_groups(
                native::rd_kafka_event_AlterConsumerGroupOffsets_result(event),
                &mut count,
            ),
            GroupRequest::Delete(_) => native::rd_kafka_DeleteConsumerGroupOffsets_result_groups(
                native::rd_kafka_event_DeleteConsumerGroupOffsets_result(event),
                &mut count,
            ),
        };
        if groups.is_null() || count == 0 {
            return Ok(Vec::new());
        }
        let group = *groups;
        let error = native::rd_kafka_group_result_error(group);
        if !error.is_null() {
            checked(native::rd_kafka_error_code(error))?;
        }
        let list = native::rd_kafka_group_result_partitions(group);
        let Some(list) = list.as_ref() else { return Ok(Vec::new()) };
        let length = usize::try_from(list.cnt).unwrap_or_default();
        let mut elements = Vec::with_capacity(length);
        for index in 0..length {
            let element = &*list.elems.add(index);
            let topic = CStr::from_ptr(element.topic).to_string_lossy();
            let at = TopicPartition { topic: topic.into(), partition: element.partition };
            elements.push((at, element.offset, element.err));
        }
        Ok(elements)
    }
}
