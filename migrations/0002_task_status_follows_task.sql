-- A status that is stored while its task is taken away must not outlive it: the constraint decides
-- what a condition in the statement cannot, because that sees the state before.

delete from ferroconnect.task_status as status
where not exists (
    select from ferroconnect.task_config as config
    where config.connector = status.connector and config.task = status.task);

alter table ferroconnect.task_status
    drop constraint task_status_connector_fkey,
    add constraint task_status_task_fkey foreign key (connector, task)
        references ferroconnect.task_config (connector, task) on delete cascade;
