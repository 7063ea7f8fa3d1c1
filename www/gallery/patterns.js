import {$, follow} from "./gallery.js";

const percent = value => `${value} %`;

follow("/patterns/filter", {}, ({json}) => $("filter-value").textContent = percent(json.cpu));
follow("/patterns/latest", {}, ({json}) => $("latest-value").textContent = percent(json.cpu));
follow("/patterns/rate", {}, ({json}) => $("rate-value").textContent = percent(json.cpu));
follow("/patterns/batch", {}, ({json}) => {
	$("batch-value").textContent = json.batch.map(one => percent(one.data)).join(", ");
});
