-- Runs once in the database "sync" of a clone, in one transaction, before anything may connect to it.
-- What waits here to be sent would be sent a second time, to real customers.

do $$
begin
  if to_regclass('public.outbox') is not null then
    delete from public.outbox where sent_at is null;
  end if;
end
$$;
