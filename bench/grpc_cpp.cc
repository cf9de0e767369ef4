/* What we are measured against: gRPC C++, used as its guides do.
 *
 *     grpc-cpp server WORK VARIANT ADDRESS
 *     grpc-cpp client WORK VARIANT ADDRESS SECONDS WARM-UP SERVER-PID
 *
 * Variants: `sync` is the blocking stub and the synchronous server with its thread
 * pool; `cq` is a completion queue on each side, which the works with many calls
 * outstanding need.  One call at a time always goes through the blocking stub.  A
 * server on a queue can answer with the request itself, which spares a copy, so
 * `bulk` is fastest there.  No deadlines, no options but a limit on messages that
 * lets the big ones pass. */

#include "bench.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "echo.grpc.pb.h"

namespace
{

using bench::Blob;
using bench::Echo;

constexpr int max_message = 4 * BENCH_BULK;
constexpr int requests_posted = 2 * BENCH_WINDOW;

/* ---- servers ---- */

class SyncEcho final : public Echo::Service
{
    grpc::Status
    Call(grpc::ServerContext *, const Blob *request, Blob *reply) override
    {
        reply->set_data(request->data());
        return grpc::Status::OK;
    }

    grpc::Status
    Flow(grpc::ServerContext *, grpc::ServerReaderWriter<Blob, Blob> *stream) override
    {
        Blob message;
        uint64_t count = 0;

        while (stream->Read(&message)) {
            const std::string &data = message.data();
            bench_taken taken = bench_stream_take(data.data(), data.size(), &count);

            if (taken == BENCH_TAKEN_WRONG)
                return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "not the next message");
            if (taken == BENCH_TAKEN_END) {
                Blob answer;

                answer.set_data(&count, sizeof count);
                stream->Write(answer);
            }
        }
        return grpc::Status::OK;
    }
};

/* One call on the completion queue: waiting for a request, or answering one. */
class CallInService
{
  public:
    void
    wait_for(Echo::AsyncService *service, grpc::ServerCompletionQueue *queue)
    {
        service_ = service;
        queue_ = queue;
        context_ = std::make_unique<grpc::ServerContext>();
        writer_ = std::make_unique<grpc::ServerAsyncResponseWriter<Blob>>(context_.get());
        answering_ = false;
        service->RequestCall(context_.get(), &request_, writer_.get(), queue, queue, this);
    }

    void
    advance(bool ok)
    {
        if (answering_) {
            wait_for(service_, queue_);
        } else if (ok) {
            answering_ = true;
            writer_->Finish(request_, grpc::Status::OK, this);
        }
    }

  private:
    Echo::AsyncService *service_ = nullptr;
    grpc::ServerCompletionQueue *queue_ = nullptr;
    std::unique_ptr<grpc::ServerContext> context_;
    std::unique_ptr<grpc::ServerAsyncResponseWriter<Blob>> writer_;
    Blob request_;
    bool answering_ = false;
};

bool
wants_queue(const bench_options &options)
{
    return std::strcmp(options.variant, "cq") == 0;
}

bool
is_local(const bench_options &options)
{
    return std::strncmp(options.address, "unix:", 5) == 0;
}

void
serve_queue(Echo::AsyncService *service, grpc::ServerCompletionQueue *queue)
{
    std::vector<CallInService> calls(requests_posted);
    void *tag = nullptr;
    bool ok = false;

    for (CallInService &call : calls)
        call.wait_for(service, queue);
    while (queue->Next(&tag, &ok))
        static_cast<CallInService *>(tag)->advance(ok);
}

/* Until the process is killed. */
void
serve(const bench_options &options)
{
    grpc::ServerBuilder builder;
    SyncEcho sync;
    Echo::AsyncService async;
    std::unique_ptr<grpc::ServerCompletionQueue> queue;
    int port = 0;

    builder.AddListeningPort(options.address, grpc::InsecureServerCredentials(), &port);
    builder.SetMaxReceiveMessageSize(max_message);
    if (wants_queue(options)) {
        builder.RegisterService(&async);
        queue = builder.AddCompletionQueue();
    } else {
        builder.RegisterService(&sync);
    }
    std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    if (!server)
        bench_fail("cannot listen on %s", options.address);
    std::string name = is_local(options) ? options.address : "127.0.0.1:" + std::to_string(port);
    bench_ready(name.c_str());
    if (queue)
        serve_queue(&async, queue.get());
    else
        server->Wait();
}

/* ---- the client ---- */

void
expect(const grpc::Status &status)
{
    if (!status.ok())
        bench_fail("%s (status %d)", status.error_message().c_str(), status.error_code());
}

/* One call after the other, of either size, with or without a pause. */
void
run_calls(Echo::Stub *stub, const bench_options &options, bench_meter *meter)
{
    bench_payload payload = bench_payload_new(options.work);
    int64_t since = bench_now();
    Blob request, reply;

    bench_meter_start(meter, &options, since, true);
    for (uint64_t number = 0;; number++) {
        grpc::ClientContext context;

        bench_payload_set(&payload, number);
        request.set_data(payload.data, payload.length);
        expect(stub->Call(&context, request, &reply));
        bench_payload_check(&payload, number, reply.data().data(), reply.data().size());
        if (!bench_meter_note(meter, &since))
            break;
        if (options.work == BENCH_THINK)
            bench_think(&since);
    }
    std::free(payload.data);
}

/* One of the calls outstanding. */
struct Slot {
    uint64_t number = 0;
    int64_t since = 0;
    Blob request, reply;
    grpc::Status status;
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientAsyncResponseReader<Blob>> reader;

    void
    start(Echo::Stub *stub, grpc::CompletionQueue *queue)
    {
        uint8_t data[BENCH_SMALL];

        bench_small_set(data, number);
        request.set_data(data, sizeof data);
        context = std::make_unique<grpc::ClientContext>();
        reader = stub->AsyncCall(context.get(), request, queue);
        reader->Finish(&reply, &status, this);
    }

    void
    check()
    {
        expect(status);
        if (!bench_small_is(reply.data().data(), reply.data().size(), number))
            bench_fail("the reply to call %llu is wrong", (unsigned long long)number);
    }
};

/* Keeps `width` calls outstanding on a queue of its own. */
void
run_window(Echo::Stub *stub, bench_meter *meter, size_t width)
{
    grpc::CompletionQueue queue;
    std::vector<Slot> slots(width);
    uint64_t number = 0;
    size_t outstanding = 0;
    bool more = true, ok = false;
    void *tag = nullptr;

    for (Slot &slot : slots) {
        slot.number = number++;
        slot.since = bench_now();
        slot.start(stub, &queue);
        outstanding++;
    }
    while (outstanding > 0 && queue.Next(&tag, &ok)) {
        Slot *slot = static_cast<Slot *>(tag);

        outstanding--;
        slot->check();
        more = more && bench_meter_note(meter, &slot->since);
        if (more) {
            slot->number = number++;
            slot->start(stub, &queue);
            outstanding++;
        }
    }
}

void
run_threads(Echo::Stub *stub, const bench_options &options, size_t count)
{
    static bench_meter meters[BENCH_THREADS];
    std::vector<std::thread> threads;
    int64_t now = bench_now();

    for (size_t i = 0; i < count; i++)
        bench_meter_start(&meters[i], &options, now, i == 0);
    for (size_t i = 1; i < count; i++)
        threads.emplace_back(run_window, stub, &meters[i], BENCH_WINDOW / count);
    run_window(stub, &meters[0], BENCH_WINDOW / count);
    for (std::thread &thread : threads)
        thread.join();
    for (size_t i = 1; i < count; i++)
        bench_meter_add(&meters[0], &meters[i]);
    bench_report_meter(&meters[0]);
}

using Flow = grpc::ClientReaderWriter<Blob, Blob>;

/* Sends until `end`, gathering as the write hint allows, then waits for the acknowledgement. */
void
send_until(Flow *flow, int64_t end, uint64_t *sent)
{
    uint8_t data[BENCH_SMALL];
    Blob message, answer;
    uint64_t count = 0;

    while (bench_stream_more(end, *sent)) {
        bench_small_set(data, (*sent)++);
        message.set_data(data, sizeof data);
        if (!flow->Write(message, grpc::WriteOptions().set_buffer_hint()))
            bench_fail("the stream ended");
    }
    bench_small_set(data, BENCH_STREAM_END);
    message.set_data(data, sizeof data);
    if (!flow->Write(message) || !flow->Read(&answer))
        bench_fail("the stream ended");
    if (answer.data().size() == sizeof count)
        std::memcpy(&count, answer.data().data(), sizeof count);
    if (count != *sent)
        bench_fail("%llu messages were sent, %llu acknowledged", (unsigned long long)*sent,
                   (unsigned long long)count);
}

void
run_stream(Echo::Stub *stub, const bench_options &options)
{
    grpc::ClientContext context;
    std::unique_ptr<Flow> flow = stub->Flow(&context);
    uint64_t sent = 0;

    send_until(flow.get(), bench_now() + options.warm_ns, &sent);
    uint64_t before = sent;
    bench_usage from = bench_usage_now(options.server);
    send_until(flow.get(), from.wall + options.measured_ns, &sent);
    bench_report_stream(sent - before, from, bench_usage_now(options.server));
    flow->WritesDone();
    expect(flow->Finish());
}

void
run_idle(Echo::Stub *stub, const bench_options &options)
{
    grpc::ClientContext context;
    Blob request, reply;

    expect(stub->Call(&context, request, &reply));
    bench_report_idle(&options);
}

void
call(const bench_options &options)
{
    static bench_meter meter;
    grpc::ChannelArguments arguments;

    arguments.SetMaxReceiveMessageSize(max_message);
    std::unique_ptr<Echo::Stub> stub = Echo::NewStub(
        grpc::CreateCustomChannel(options.address, grpc::InsecureChannelCredentials(), arguments));
    if (options.work == BENCH_STREAM) {
        run_stream(stub.get(), options);
    } else if (options.work == BENCH_IDLE) {
        run_idle(stub.get(), options);
    } else if (options.work == BENCH_CONC || options.work == BENCH_CONC8) {
        run_threads(stub.get(), options, options.work == BENCH_CONC ? 1 : BENCH_THREADS);
    } else {
        run_calls(stub.get(), options, &meter);
        bench_report_meter(&meter);
    }
}

} /* namespace */

int
main(int argc, char **argv)
{
    bench_options options;
    bool server = argc > 1 && std::strcmp(argv[1], "server") == 0;

    if (!server && (argc < 2 || std::strcmp(argv[1], "client") != 0))
        bench_fail("say server or client first");
    bench_options_read(&options, argc - 2, argv + 2);
    if (server)
        serve(options);
    else
        call(options);
    return EXIT_SUCCESS;
}
