/** The gRPC status codes that we tell apart (https://grpc.io/docs/guides/status-codes); the SDK does not export them. */
export const GRPC_STATUS = {
  invalidArgument: 3,
  notFound: 5,
  resourceExhausted: 8,
  unimplemented: 12,
} as const;
