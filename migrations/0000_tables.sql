CREATE SCHEMA IF NOT EXISTS "leasehold";
--> statement-breakpoint
CREATE SEQUENCE "leasehold"."fences" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1;--> statement-breakpoint
CREATE SEQUENCE "leasehold"."session_ids" INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 START WITH 1 CACHE 1 CYCLE;--> statement-breakpoint
CREATE SEQUENCE "leasehold"."tickets" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1;--> statement-breakpoint
CREATE TABLE "leasehold"."counters" (
	"id" uuid PRIMARY KEY NOT NULL,
	"sequence" integer NOT NULL,
	"started_at" timestamp with time zone NOT NULL,
	"flushed_at" timestamp with time zone NOT NULL,
	"acquired" bigint NOT NULL,
	"refused" bigint NOT NULL,
	"timed_out" bigint NOT NULL,
	"cancelled" bigint NOT NULL,
	"failed" bigint NOT NULL,
	"contended" bigint NOT NULL,
	"released" bigint NOT NULL,
	"renewed" bigint NOT NULL,
	"checked" bigint NOT NULL,
	"swept" bigint NOT NULL,
	"errors" bigint NOT NULL,
	"lost_expired" bigint NOT NULL,
	"lost_taken" bigint NOT NULL,
	"lost_max_hold" bigint NOT NULL,
	"lost_forced" bigint NOT NULL,
	"taken_over_expired" bigint NOT NULL,
	"taken_over_orphaned" bigint NOT NULL,
	"wait_ms" double precision NOT NULL,
	"waits" bigint[] NOT NULL,
	"hold_ms" double precision NOT NULL,
	"holds" bigint[] NOT NULL,
	"prefixes" jsonb NOT NULL,
	"hot_keys" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "leasehold"."fence_epoch" (
	"id" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"system_identifier" bigint,
	"database_id" uuid DEFAULT gen_random_uuid() NOT NULL,
	"base" bigint NOT NULL,
	"top" bigint NOT NULL,
	"source" text NOT NULL,
	"epoch" bigint NOT NULL,
	"server_start" timestamp with time zone,
	CONSTRAINT "fence_epoch_single_row" CHECK ("leasehold"."fence_epoch"."id"),
	CONSTRAINT "fence_epoch_source" CHECK ("leasehold"."fence_epoch"."source" in ('auto', 'manual'))
);
--> statement-breakpoint
CREATE TABLE "leasehold"."leases" (
	"key" text COLLATE "C" PRIMARY KEY NOT NULL,
	"token" uuid,
	"fence" bigint NOT NULL,
	"owner" text,
	"session_id" integer,
	"ttl_ms" integer NOT NULL,
	"takeover_ms" integer,
	"min_hold_ms" integer DEFAULT 0 NOT NULL,
	"max_hold_until" timestamp with time zone,
	"acquired_at" timestamp with time zone,
	"renewed_at" timestamp with time zone,
	"expires_at" timestamp with time zone,
	"hold_until" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	"queued" boolean DEFAULT false NOT NULL,
	"metadata" jsonb,
	"released_at" timestamp with time zone,
	"acquisitions" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "leases_key_length" CHECK (octet_length("leasehold"."leases"."key") between 1 and 512)
);
--> statement-breakpoint
CREATE TABLE "leasehold"."resource_fences" (
	"resource" text COLLATE "C" PRIMARY KEY NOT NULL,
	"fence" bigint NOT NULL,
	"checked_at" timestamp with time zone NOT NULL,
	CONSTRAINT "resource_fences_resource_length" CHECK (octet_length("leasehold"."resource_fences"."resource") between 1 and 512)
);
--> statement-breakpoint
CREATE TABLE "leasehold"."schema_version" (
	"version" integer PRIMARY KEY NOT NULL,
	"min_client" integer NOT NULL,
	"applied_at" timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "leasehold"."sessions" (
	"id" integer PRIMARY KEY NOT NULL,
	"nonce" uuid NOT NULL,
	"owner" text NOT NULL,
	"pid" integer NOT NULL,
	"host" text NOT NULL,
	"client_address" "inet",
	"application_name" text NOT NULL,
	"version" text NOT NULL,
	"started_at" timestamp with time zone NOT NULL,
	"seen_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "leasehold"."shares" (
	"key" text COLLATE "C" NOT NULL,
	"token" uuid NOT NULL,
	"fence" bigint NOT NULL,
	"weight" integer NOT NULL,
	"capacity" integer,
	"owner" text,
	"session_id" integer,
	"ttl_ms" integer NOT NULL,
	"takeover_ms" integer,
	"min_hold_ms" integer NOT NULL,
	"max_hold_until" timestamp with time zone,
	"acquired_at" timestamp with time zone NOT NULL,
	"renewed_at" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"hold_until" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	"released_at" timestamp with time zone,
	"metadata" jsonb,
	CONSTRAINT "shares_pkey" PRIMARY KEY("key","token"),
	CONSTRAINT "shares_key_fence_unique" UNIQUE("key","fence"),
	CONSTRAINT "shares_weight" CHECK ("leasehold"."shares"."weight" between 1 and coalesce("leasehold"."shares"."capacity", 1))
);
--> statement-breakpoint
CREATE TABLE "leasehold"."sweeper" (
	"id" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"after_key" text COLLATE "C",
	"swept_at" timestamp with time zone DEFAULT '-infinity' NOT NULL,
	CONSTRAINT "sweeper_single_row" CHECK ("leasehold"."sweeper"."id")
);
--> statement-breakpoint
CREATE TABLE "leasehold"."waiters" (
	"key" text COLLATE "C" NOT NULL,
	"ticket" bigint NOT NULL,
	"token" uuid NOT NULL,
	"session_id" integer,
	"owner" text NOT NULL,
	"weight" integer,
	"capacity" integer,
	"enqueued_at" timestamp with time zone NOT NULL,
	"alive_until" timestamp with time zone NOT NULL,
	CONSTRAINT "waiters_pkey" PRIMARY KEY("key","ticket"),
	CONSTRAINT "waiters_key_token_unique" UNIQUE("key","token")
);
