#include "server/receipts.hpp"

namespace cocoon::server {
namespace {

matching::PriceVector price_of(const sealing::ReceiptPrices& prices) {
    return {{prices.prompt},    {prices.cached},  {prices.completion},
            {prices.reasoning}, {prices.request}, {prices.gpu_second}};
}

matching::QuantityVector usage_of(const sealing::ReceiptUsage& usage) {
    return {usage.prompt,    usage.cached,   usage.completion,
            usage.reasoning, usage.requests, usage.gpu_seconds};
}

Error invalid(std::string what) { return refuse(ErrorCode::receipt_invalid, std::move(what)); }

// The first claim of the receipt that is not what the market knows; empty: none.
std::string first_difference(const sealing::JobReceipt& receipt,
                             const ReceiptExpectation& expected) {
    const matching::Job& job = expected.job;
    if (receipt.job != job.id.text()) return "it is for another job";
    if (receipt.request != job.request.text()) return "it names another request";
    if (receipt.node != job.node.text()) return "it names another node";
    if (receipt.market != expected.market) return "it names another market";
    if (!(price_of(receipt.prices) == job.price)) return "its prices are not the job's";
    if (job.session != (receipt.session_counter != 0))
        return "its session counter does not fit the job";
    const std::string id =
        job.session ? job.id.text() + "." + std::to_string(receipt.session_counter) : job.id.text();
    if (receipt.receipt_id != id) return "its receipt id is not " + id;
    if (expected.request_hash && receipt.sealed_request_sha256 != *expected.request_hash) {
        return "its request hash is not of the bytes that were relayed";
    }
    if (expected.response_hash && receipt.sealed_response_sha256 != *expected.response_hash) {
        return "its response hash is not of the bytes that were relayed";
    }
    const auto usage = usage_of(receipt.usage);
    const auto cost = matching::cost(job.price, usage);
    if (!cost || *cost != receipt.cost) return "its cost does not follow from price and usage";
    return {};
}

}  // namespace

Result<CheckedReceipt> check_receipt(std::string_view document, const sealing::Keyset& keyset,
                                     const ReceiptExpectation& expected,
                                     const MarketSigner& signer) {
    if (document.size() > sealing::receipt_bytes_max) return invalid("it is too large");
    const sealing::ReceiptVerdict verdict = sealing::verify_job_receipt(document, keyset);
    if (!verdict) return verdict.refusal().error();
    const sealing::VerifiedReceipt& verified = verdict.receipt();
    if (!verified.job) return invalid("it has no market.job event");
    if (const std::string why = first_difference(*verified.job, expected); !why.empty())
        return invalid(why);
    if (!matching::within(usage_of(verified.job->usage), expected.bounds))
        return refuse(ErrorCode::usage_over_bound, "its usage exceeds the bounds of the exchange");
    if (expected.job.session &&
        !matching::within(usage_of(verified.job->cumulative_usage), expected.job.quantity))
        return refuse(ErrorCode::usage_over_bound,
                      "its session's usage exceeds the bounds of the session");
    CheckedReceipt checked;
    checked.hash = verified.digest.substr(std::string_view{"sha256:"}.size());
    checked.cosigned = sealing::cosign_canonical(verified.document, signer.key_id, signer.key);
    checked.usage = usage_of(verified.job->usage);
    checked.cumulative = usage_of(verified.job->cumulative_usage);
    checked.counter = verified.job->session_counter;
    checked.status = verified.job->status;
    return checked;
}

}  // namespace cocoon::server
