// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace gatehouse::cri {

/// Calls of gRPC that are under way at the same time, completed by one thread. All but Wake is for
/// that thread.
class Calls {
 public:
  using Clock = std::chrono::system_clock;  // what gRPC's deadlines are in

  Calls() = default;
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;
  /// Cancels what is under way; none of the functions given is called any more.
  ~Calls();

  /// Makes a call. `prepare` is a PrepareAsync… of `stub`; `done` is called from Next.
  template <typename Stub, typename Request, typename Response>
  void Ask(Stub& stub,
           std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (Stub::*prepare)(
               grpc::ClientContext*, const Request&, grpc::CompletionQueue*),
           const Request& request, std::chrono::milliseconds timeout,
           std::type_identity_t<std::function<void(const grpc::Status&, const Response&)>> done);

  /// Reads a stream to its end. `message` is called for each, then once `end`.
  template <typename Stub, typename Request, typename Message>
  void Follow(Stub& stub,
              std::unique_ptr<grpc::ClientAsyncReader<Message>> (Stub::*prepare)(
                  grpc::ClientContext*, const Request&, grpc::CompletionQueue*),
              const Request& request,
              std::type_identity_t<std::function<void(const Message&)>> message,
              std::function<void(const grpc::Status&)> end);

  /// Waits until a step of a call has completed, Wake was called or `deadline` has come.
  void Next(Clock::time_point deadline);
  /// Ends a wait in Next, or the next one. Any thread.
  void Wake();

 private:
  /// What the queue hands back.
  class Call {
   public:
    Call() = default;
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    virtual ~Call() = default;
    /// Whether the call is over. `quiet`: nobody wants to know.
    virtual bool Completed(bool ok, bool quiet) = 0;
    grpc::ClientContext context;
  };
  template <typename Response>
  class Unary;
  template <typename Message>
  class Stream;

  void Take(void* tag, bool ok, bool quiet);

  grpc::CompletionQueue queue_;
  std::unordered_map<void*, std::unique_ptr<Call>> calls_;
  std::mutex wake_mutex_;
  bool waking_ = false;  // the alarm is set, and Next has not seen it
  grpc::Alarm alarm_;
};

template <typename Response>
class Calls::Unary : public Call {
 public:
  bool Completed(bool /*ok*/, bool quiet) override {
    if (!quiet) done(status, response);
    return true;
  }
  Response response;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader;
  std::function<void(const grpc::Status&, const Response&)> done;
};

template <typename Message>
class Calls::Stream : public Call {
 public:
  bool Completed(bool ok, bool quiet) override {
    if (ending_) {
      if (!quiet) end(status);
      return true;
    }
    if (ok && std::exchange(reading_, true) && !quiet) message(received);
    ending_ = !ok;
    if (ok) {
      reader->Read(&received, static_cast<Call*>(this));
    } else {
      reader->Finish(&status, static_cast<Call*>(this));
    }
    return false;
  }
  Message received;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncReader<Message>> reader;
  std::function<void(const Message&)> message;
  std::function<void(const grpc::Status&)> end;

 private:
  bool reading_ = false;  // the request is on its way; what completes is a message
  bool ending_ = false;
};

template <typename Stub, typename Request, typename Response>
void Calls::Ask(
    Stub& stub,
    std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (Stub::*prepare)(
        grpc::ClientContext*, const Request&, grpc::CompletionQueue*),
    const Request& request, std::chrono::milliseconds timeout,
    std::type_identity_t<std::function<void(const grpc::Status&, const Response&)>> done) {
  auto call = std::make_unique<Unary<Response>>();
  call->context.set_deadline(Clock::now() + timeout);
  call->done = std::move(done);
  call->reader = (stub.*prepare)(&call->context, request, &queue_);
  call->reader->StartCall();
  auto* tag = static_cast<Call*>(call.get());
  call->reader->Finish(&call->response, &call->status, tag);
  calls_.emplace(tag, std::move(call));
}

template <typename Stub, typename Request, typename Message>
void Calls::Follow(Stub& stub,
                   std::unique_ptr<grpc::ClientAsyncReader<Message>> (Stub::*prepare)(
                       grpc::ClientContext*, const Request&, grpc::CompletionQueue*),
                   const Request& request,
                   std::type_identity_t<std::function<void(const Message&)>> message,
                   std::function<void(const grpc::Status&)> end) {
  auto call = std::make_unique<Stream<Message>>();
  call->message = std::move(message);
  call->end = std::move(end);
  call->reader = (stub.*prepare)(&call->context, request, &queue_);
  auto* tag = static_cast<Call*>(call.get());
  call->reader->StartCall(tag);
  calls_.emplace(tag, std::move(call));
}

}  // namespace gatehouse::cri
